//! The short way for a fetch that arrived whole: it is read, answered and closed at once, without an event loop.
//!
//! FreeSWITCH sends a fetch in one piece, and the listener wakes when it is there (TCP_DEFER_ACCEPT). So most connections
//! need neither event loop nor HTTP framework: they take five system calls, and the FIN leaves in the answer's packet.
//! Only a plain fetch goes this way: `POST /fs/xml` with a whole body, nothing after it, and a valid token. Everything
//! else goes to [`exchange`] with the bytes already read. Both ways share the code that checks tokens, reads forms and
//! answers.

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

/// In bytes, twice the largest usual dialplan request. A request that fills it goes the framework's way.
const BUFFER: usize = 32 * 1024;
/// How many buffers are kept for reuse. More are made while many fetches wait for the database.
const SPARE: usize = 32;
/// A switch sends six headers. A request with more than this goes the framework's way.
const HEADERS: usize = 32;
/// Headers that need the framework.
const NEEDS_MORE: [&str; 4] = ["connection", "expect", "transfer-encoding", "upgrade"];

/// What each worker needs for the short way.
pub struct Desk {
    pub served: Served,
    spare: RefCell<Vec<Box<[u8]>>>,
    /// The `date` header for the current second.
    date: RefCell<(u64, String)>,
}

/// What the first look at a connection found.
pub enum Came {
    /// A whole fetch of a switch with a valid token.
    Whole(Fetched),
    /// The bytes so far of anything else, or of a request that is not complete.
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

    /// Reads what has arrived. Unless that is a whole fetch, nothing is counted or answered yet.
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
        // The framework's way refuses bad tokens and counts them. It also waits for the database if this process was
        // stopped for a while: then a token is not believed yet.
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

    /// Serves a whole fetch and ends its connection.
    pub async fn serve(&self, fetched: Fetched, stream: TcpStream, peer: SocketAddr) {
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
        // MSG_MORE holds the data back until the connection is shut down, so that both leave in one packet.
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
        // Not just closed: a peer that sent more than its request would then get a reset instead of the answer.
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

/// Writes the rest of an answer that was too large for the kernel to take at once.
async fn write_slowly(stream: TcpStream, rest: [&[u8]; 2]) -> io::Result<()> {
    stream.set_nonblocking(true)?;
    let mut stream = tokio::net::TcpStream::from_std(stream)?;
    for bytes in rest {
        stream.write_all(bytes).await?;
    }
    stream.shutdown().await
}

/// A request that arrived whole and needs nothing special.
struct Whole<'a> {
    authorization: &'a [u8],
    /// Where the form is in the bytes read.
    form: Range<usize>,
}

impl<'a> Whole<'a> {
    /// `None` only means that the request is for the framework, which reads heads with the same parser.
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

/// A number of digits only, short enough for any buffer's length.
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
    fn a_request_that_is_incomplete_or_has_more_after_it_goes_the_other_way() {
        let request = format!("{LINE}{HEADERS}\r\na=b&c");
        for end in 0..request.len() {
            assert!(Whole::read(&request.as_bytes()[..end]).is_none(), "{end} bytes");
        }
        assert!(read(LINE, HEADERS, "a=b&cd").is_none());
        assert!(Whole::read(request.repeat(2).as_bytes()).is_none());
    }

    #[test]
    fn a_request_that_needs_anything_else_goes_the_other_way() {
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
