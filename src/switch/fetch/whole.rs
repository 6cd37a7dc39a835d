//! The short way of a fetch that came whole: read, answered and closed in one go, while its connection is with the kernel alone.
//!
//! FreeSWITCH sends a fetch in one piece, and the listener wakes when that has come (TCP_DEFER_ACCEPT). So most connections need no
//! event loop and no HTTP framework: five system calls, and the end of the connection leaves in the packet of the answer. Only
//! what is plainly a switch's fetch goes this way: `POST /fs/xml`, its body whole and nothing behind it, the right token.
//! Everything else goes to [`exchange`] with the bytes that were read, and is judged there. Who may ask, what a
//! form means and what is answered is the same code on both ways.

use std::{
    cell::RefCell,
    io::{self, IoSlice, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    ops::Range,
    os::fd::AsRawFd as _,
    time::{SystemTime, UNIX_EPOCH},
};

use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use nix::{
    errno::Errno,
    libc,
    sys::socket::{MsgFlags, recv},
};
use socket2::SockRef;
use tokio::io::AsyncWriteExt as _;

use super::{
    Reply,
    credentials::Switch,
    exchange::{self, Page, XML_PATH},
    served::Served,
};

/// Twice what the largest usual dialplan request has. What fills it goes the other way.
const BUFFER: usize = 32 * 1024;
/// Buffers that wait for their next use; more are made when many fetches wait for the database at once.
const SPARE: usize = 32;
/// A switch sends six; more than these go the other way.
const HEADERS: usize = 32;
/// On these the framework acts.
const NEEDS_MORE: [&str; 4] = ["connection", "expect", "transfer-encoding", "upgrade"];

/// What a worker needs for it.
pub struct Desk {
    pub served: Served,
    spare: RefCell<Vec<Box<[u8]>>>,
    /// The date of this second, as HTTP writes it.
    date: RefCell<(u64, String)>,
}

/// What the first look at a connection found.
pub enum Came {
    /// A fetch of a switch that may ask.
    Whole(Fetched),
    /// These bytes, if any, of something else, or of something that is not all there.
    Part(Vec<u8>),
    /// The peer went away.
    Nothing,
}

/// A whole fetch.
pub struct Fetched {
    switch: Switch,
    buffer: Box<[u8]>,
    form: Range<usize>,
}

impl Desk {
    pub fn new(served: Served) -> Self {
        Self { served, spare: RefCell::default(), date: RefCell::default() }
    }

    /// Reads what has come by now. Nothing was counted or answered yet unless it is whole.
    pub fn read(&self, stream: &TcpStream) -> Came {
        let spare = self.spare.borrow_mut().pop();
        let mut buffer = spare.unwrap_or_else(|| vec![0; BUFFER].into_boxed_slice());
        let came = match recv(stream.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Came::Nothing,
            Ok(length) => match self.fetched(&buffer[..length]) {
                Some((switch, form)) => return Came::Whole(Fetched { switch, buffer, form }),
                None => Came::Part(buffer[..length].to_vec()),
            },
            Err(Errno::EAGAIN | Errno::EINTR) => Came::Part(Vec::new()),
            Err(error) => {
                tracing::debug!(%error, "a switch's connection ended early");
                Came::Nothing
            }
        };
        self.put_back(buffer);
        came
    }

    fn fetched(&self, bytes: &[u8]) -> Option<(Switch, Range<usize>)> {
        let whole = Whole::read(bytes)?;
        // Who is refused is refused, and counted, on the other way.
        // A node that slept asks the database before it believes a token: that may take a while, and is the other way's.
        if !self.served.fetch.generations.is_fresh() {
            return None;
        }
        let switch = self.served.fetch.credentials.check(whole.authorization)?;
        Some((switch, whole.form))
    }

    fn put_back(&self, buffer: Box<[u8]>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE {
            spare.push(buffer);
        }
    }

    /// Answers a whole fetch and ends its connection.
    pub async fn answer(&self, fetched: Fetched, stream: TcpStream, peer: SocketAddr) {
        let Fetched { switch, buffer, form } = fetched;
        let reply = exchange::ask(&self.served, &switch, &buffer[form]).await;
        self.put_back(buffer);
        if let Err(error) = self.write(reply, stream).await {
            tracing::debug!(%error, %peer, "a switch's connection ended early");
        }
    }

    async fn write(&self, reply: Reply, stream: TcpStream) -> io::Result<()> {
        let Page { status, kind, body } = exchange::page(reply);
        let mut head = Vec::with_capacity(256);
        let reason = status.canonical_reason().unwrap_or_default();
        write!(
            head,
            "HTTP/1.1 {} {reason}\r\ncontent-length: {}\r\nconnection: close\r\ncontent-type: {kind}\r\n",
            status.as_u16(),
            body.len()
        )?;
        self.write_date(&mut head)?;
        // What MSG_MORE holds back leaves with the end of the connection, in one packet.
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL | libc::MSG_MORE;
        let both = [IoSlice::new(&head), IoSlice::new(&body)];
        let sent = match SockRef::from(&stream).send_vectored_with_flags(&both, flags) {
            Ok(sent) => sent,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
            Err(error) => return Err(error),
        };
        if sent < head.len() + body.len() {
            let rest = [&head[sent.min(head.len())..], &body[sent.saturating_sub(head.len())..]];
            return Box::pin(write_slowly(stream, rest)).await;
        }
        // Closing alone would do, but for a peer that sends more than its request: it would get a reset and no answer.
        stream.shutdown(Shutdown::Write)
    }

    fn write_date(&self, head: &mut Vec<u8>) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut date = self.date.borrow_mut();
        if date.0 != now || date.1.is_empty() {
            let at = i64::try_from(now).ok().and_then(|now| Timestamp::from_second(now).ok()).unwrap_or_default();
            let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&at).map_err(io::Error::other)?;
            *date = (now, text);
        }
        write!(head, "date: {}\r\n\r\n", date.1)
    }
}

/// The rest of an answer that is larger than what the kernel takes at once.
async fn write_slowly(stream: TcpStream, rest: [&[u8]; 2]) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut stream = tokio::net::TcpStream::from_std(stream)?;
    for bytes in rest {
        stream.write_all(bytes).await?;
    }
    stream.shutdown().await
}

/// A request that came whole and asks for nothing special.
struct Whole<'a> {
    authorization: &'a [u8],
    /// Where its form is in what was read.
    form: Range<usize>,
}

impl<'a> Whole<'a> {
    /// `None` says nothing about a request but that it is for the framework, which reads heads with the same parser.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut head = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(start) = head.parse(bytes).ok()? else { return None };
        if head.method != Some("POST") || head.path != Some(XML_PATH) || head.version != Some(1) {
            return None;
        }
        let (mut host, mut authorization, mut length) = (None, None, None);
        for header in head.headers.iter() {
            let once = if header.name.eq_ignore_ascii_case("host") {
                &mut host
            } else if header.name.eq_ignore_ascii_case("authorization") {
                &mut authorization
            } else if header.name.eq_ignore_ascii_case("content-length") {
                &mut length
            } else if NEEDS_MORE.iter().any(|name| header.name.eq_ignore_ascii_case(name)) {
                return None;
            } else {
                continue;
            };
            if once.replace(header.value).is_some() {
                return None;
            }
        }
        host?;
        let form = start..bytes.len();
        (number(length?)? == form.len()).then_some(Self { authorization: authorization?, form })
    }
}

/// Digits and nothing else; what is longer than any buffer is none.
fn number(digits: &[u8]) -> Option<usize> {
    let is_plain = (1..=6).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_plain.then(|| digits.iter().fold(0, |number, digit| number * 10 + usize::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "POST /fs/xml HTTP/1.1\r\n";
    const HEADERS: &str =
        "Host: x\r\nAuthorization: Basic YTpi\r\nUser-Agent: freeswitch-xml/1.0\r\nContent-Length: 5\r\n";

    fn read(line: &str, headers: &str, body: &str) -> Option<(String, String)> {
        let request = format!("{line}{headers}\r\n{body}");
        let whole = Whole::read(request.as_bytes())?;
        Some((String::from_utf8(whole.authorization.to_vec()).unwrap(), request[whole.form].to_owned()))
    }

    #[test]
    fn a_plain_request_that_is_all_there_goes_the_short_way() {
        let expected = Some(("Basic YTpi".to_owned(), "a=b&c".to_owned()));
        assert_eq!(read(LINE, HEADERS, "a=b&c"), expected);
        assert_eq!(read(LINE, &HEADERS.to_uppercase().replace("BASIC YTPI", "Basic YTpi"), "a=b&c"), expected);
    }

    #[test]
    fn what_is_not_all_there_or_has_more_behind_it_goes_the_other_way() {
        let request = format!("{LINE}{HEADERS}\r\na=b&c");
        for end in 0..request.len() {
            assert!(Whole::read(&request.as_bytes()[..end]).is_none(), "{end} bytes");
        }
        assert!(read(LINE, HEADERS, "a=b&cd").is_none());
        assert!(Whole::read(request.repeat(2).as_bytes()).is_none());
    }

    #[test]
    fn what_asks_for_anything_else_goes_the_other_way() {
        for line in [
            "GET /fs/xml HTTP/1.1\r\n",
            "POST /fs/xml HTTP/1.0\r\n",
            "POST /fs/xml?a=b HTTP/1.1\r\n",
            "POST /fs/cdr?uuid=1 HTTP/1.1\r\n",
            "POST http://x/fs/xml HTTP/1.1\r\n",
            "post /fs/xml HTTP/1.1\r\n",
        ] {
            assert!(read(line, HEADERS, "a=b&c").is_none(), "{line}");
        }
        for more in [
            "Expect: 100-continue",
            "EXPECT: x",
            "Transfer-Encoding: chunked",
            "Transfer-Encoding: identity",
            "Connection: keep-alive",
            "Upgrade: h2c",
            "Content-Length: 5",
            "Host: y",
            "Authorization: Basic YTpi",
            "no colon",
        ] {
            assert!(read(LINE, &format!("{HEADERS}{more}\r\n"), "a=b&c").is_none(), "{more}");
        }
        for missing in ["Host: x\r\n", "Authorization: Basic YTpi\r\n", "Content-Length: 5\r\n"] {
            assert!(read(LINE, &HEADERS.replace(missing, ""), "a=b&c").is_none(), "{missing}");
        }
        for length in ["+5", "05, 5", "5 5", "-5", "0x5", "", "99999999999999999999999"] {
            assert!(read(LINE, &HEADERS.replace(": 5", &format!(": {length}")), "a=b&c").is_none(), "{length}");
        }
        assert!(read(LINE, &format!("{HEADERS}{}", "X: y\r\n".repeat(HEADERS.len())), "a=b&c").is_none());
    }
}
