//! Plays what is sealed in the store, whole or in parts.

use std::{
    collections::HashMap,
    io,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, HttpResponse, body::SizedStream, http::header, web::Bytes};
use futures_util::{StreamExt as _, stream};
use uuid::Uuid;

use super::{
    Content,
    range::{self, Part},
    sealed::{CHUNK, Chunks, ContentKey},
    vault::Vault,
};
use crate::{http::problem::Problem, text::Code};

/// Whoever hears a recording in parts is logged once within this time.
const ONE_HEARING: Duration = Duration::from_mins(5);
/// How many hearings a node remembers.
const REMEMBERED: usize = 10_000;
/// How much is read from the store at once.
const PIECE: u64 = 4 * CHUNK as u64;

/// Whether this is not the next part of what somebody hears already.
#[must_use]
pub fn is_new_hearing(who: Uuid, what: Uuid) -> bool {
    static HEARD: LazyLock<Mutex<HashMap<(Uuid, Uuid), Instant>>> = LazyLock::new(Mutex::default);
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    if heard.len() >= REMEMBERED {
        heard.retain(|_, at| at.elapsed() < ONE_HEARING);
    }
    let is_new = heard.get(&(who, what)).is_none_or(|at| at.elapsed() >= ONE_HEARING);
    if is_new && heard.len() < REMEMBERED {
        heard.insert((who, what), Instant::now());
    }
    is_new
}

/// What can be heard of a recording, or of a message.
pub struct Sound {
    vault: Vault,
    content: Content,
    key: ContentKey,
    called: &'static str,
}

fn away(error: &io::Error) -> Problem {
    tracing::warn!(%error, "a recording could not be read");
    Code::RecordingsAway.into()
}

impl Sound {
    /// `called`: what the name of a downloaded file begins with.
    #[must_use]
    pub fn new(vault: Vault, content: Content, key: ContentKey, called: &'static str) -> Self {
        Self { vault, content, key, called }
    }

    #[must_use]
    pub fn key(&self) -> &ContentKey {
        &self.key
    }

    /// All of it. For sounds that are known to be short.
    pub async fn whole(&self) -> io::Result<Vec<u8>> {
        let (mut all, bytes) = (Vec::new(), self.content.bytes);
        while (all.len() as u64) < bytes {
            all.extend_from_slice(&self.piece(all.len() as u64, bytes).await?);
        }
        Ok(all)
    }

    /// Answers whoever asked for it, or for a part of it.
    pub async fn answer(self, request: &HttpRequest, download: bool) -> Result<HttpResponse, Problem> {
        let length = self.content.bytes;
        let text = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
        let tag = format!("\"{}\"", self.content.sha256);
        // A part of what the player has is no part of anything else.
        let is_same = text(header::IF_RANGE).is_none_or(|wanted| wanted == tag);
        let wanted = text(header::RANGE).filter(|_| is_same);
        let (mut answer, part) = match range::part(wanted, length) {
            Part::Nothing => {
                let there = format!("bytes */{length}");
                return Ok(HttpResponse::RangeNotSatisfiable().insert_header((header::CONTENT_RANGE, there)).finish());
            }
            Part::Whole => (HttpResponse::Ok(), 0..length),
            Part::Only(part) => {
                let mut answer = HttpResponse::PartialContent();
                let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                answer.insert_header((header::CONTENT_RANGE, range));
                (answer, part)
            }
        };
        let kind = if download { "attachment" } else { "inline" };
        let name = self.content.began_at.format("%Y-%m-%d-%H%M%S.wav");
        answer
            .content_type("audio/wav")
            .insert_header((header::ETAG, tag))
            .insert_header((header::ACCEPT_RANGES, "bytes"))
            .insert_header((header::CONTENT_DISPOSITION, format!("{kind}; filename=\"{}-{name}\"", self.called)))
            // A browser that opens it by itself makes a page of it.
            .insert_header((
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; media-src 'self'; frame-ancestors 'none'",
            ));
        let (at, to) = (part.start, part.end);
        // Read before the answer begins: a store that is away is a refusal, and no answer that breaks off.
        let first = self.piece(at, to).await.map_err(|error| away(&error))?;
        let next = at + first.len() as u64;
        let rest = stream::try_unfold((self, next), move |(sound, at)| async move {
            if at >= to {
                return Ok(None);
            }
            let piece = sound.piece(at, to).await?;
            let next = at + piece.len() as u64;
            Ok::<_, io::Error>(Some((piece, (sound, next))))
        });
        let all = stream::iter([Ok(first)]).chain(rest);
        Ok(answer.body(SizedStream::new(to - at, all)))
    }

    /// The next bytes from a place on.
    async fn piece(&self, at: u64, to: u64) -> io::Result<Bytes> {
        // Whole chunks, so that none is opened twice.
        let end = (at / PIECE * PIECE + PIECE).min(to);
        let Content { whose, store, bytes, .. } = self.content;
        let chunks = Chunks::of(at, end, bytes);
        let sealed = self.vault.read(store, whose, chunks.begins..chunks.ends).await?;
        let mut plain = chunks.open(&self.key, whose, bytes, &sealed).map_err(io::Error::other)?;
        plain.truncate(usize::try_from(end - at).unwrap_or(usize::MAX));
        Ok(plain.into())
    }
}
