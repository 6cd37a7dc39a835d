//! Who may read `/metrics`.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use actix_web::{HttpRequest, http::header};

use super::StartError;
use crate::text::token::{self, TokenHash};

/// What a scrape shows: a line of a file, so that counters can be read also when the database can't be asked.
#[derive(Clone, Copy)]
pub struct MetricsToken(TokenHash);

impl MetricsToken {
    /// Reads the file, or makes it.
    pub fn open(path: &Path) -> Result<Self, StartError> {
        Self::read_or_make(path).map_err(|source| StartError::MetricsToken { path: path.to_owned(), source })
    }

    fn read_or_make(path: &Path) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = token::generate("dpm");
                let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
                match file.and_then(|mut file| writeln!(file, "{}", made.as_str())) {
                    Ok(()) => made.to_string(),
                    // Another node on this machine was quicker.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(path)?,
                    Err(error) => return Err(error),
                }
            }
            text => text?,
        };
        let token = text.trim();
        if token.len() < 16 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a token of at least 16 characters is needed"));
        }
        Ok(Self(TokenHash::of(token.as_bytes())))
    }

    #[must_use]
    pub fn is_shown(&self, request: &HttpRequest) -> bool {
        let value = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            value.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("Bearer"));
        token.is_some_and(|(_, token)| self.0.matches(token.trim().as_bytes()))
    }
}
