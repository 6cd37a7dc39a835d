//! Delivers mails from the outbox to the first provider that accepts them, with retries. Without a provider, mails become files.

use std::{
    error::Error as _,
    fmt, fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Attachment, Mailbox, MultiPart, header},
    transport::smtp::{Error as SmtpError, response::Category},
};
use metrics::counter;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Letter, place, store};
use crate::text::keyring::{Keyring, KeyringError};

const EVERY: Duration = Duration::from_secs(1);
/// How often the folder of mails is looked through for those of tenants that are gone.
const TIDY_EVERY: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long a provider that could not be reached is passed over, if there is another.
const REST: Duration = Duration::from_mins(1);
/// Minutes until the next attempt after the first, second, … failure; hourly from then on.
const BACK_OFF_MINUTES: [i32; 4] = [1, 5, 15, 60];

/// URLs of SMTP servers, the preferred first: `smtps://user:password@host:465`, `smtp://host:587?tls=required`. They contain
/// passwords, so they are never printed.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(from = "OneOrMany")]
pub struct Providers(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    /// As in an environment variable, separated by commas.
    One(String),
    Many(Vec<String>),
}

impl From<OneOrMany> for Providers {
    fn from(given: OneOrMany) -> Self {
        Self(match given {
            OneOrMany::One(text) => {
                text.split(',').map(str::trim).filter(|url| !url.is_empty()).map(Into::into).collect()
            }
            OneOrMany::Many(urls) => urls,
        })
    }
}

impl Providers {
    #[must_use]
    pub fn new(urls: Vec<String>) -> Self {
        Self(urls)
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} SMTP providers", self.0.len())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("smtp: provider {0} is not a URL such as smtps://user:password@mail.example:465")]
    Url(usize),
    #[error("mail_from is not an address such as Dialplane <dialplane@acme.example>: {0}")]
    From(lettre::address::AddressError),
}

struct Provider {
    /// Host and port, for the log.
    name: String,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    rests_until: Mutex<Option<Instant>>,
}

/// By whom mails leave, and whom they are from. Replaced as a whole when the settings change.
pub struct Outlet {
    from: Mailbox,
    providers: Vec<Provider>,
}

/// How mails leave this node.
pub struct Deliverer {
    pool: PgPool,
    keyring: Arc<Keyring>,
    outlet: Arc<ArcSwap<Outlet>>,
    folder: PathBuf,
}

enum Failure {
    /// Every provider refused the recipient for good.
    Final(String),
    /// The mail may go later, or over another provider.
    Passing(String),
}

impl Outlet {
    pub fn new(from: &str, providers: &Providers) -> Result<Self, MailError> {
        let providers = providers.0.iter().enumerate().map(|(at, url)| {
            // The error would repeat the URL, with the password in it.
            let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url).map_err(|_| MailError::Url(at + 1))?;
            let host = url.rsplit('@').next().unwrap_or_default();
            let host = host.split("://").last().unwrap_or_default();
            let name = host.split(['/', '?']).next().unwrap_or_default().to_owned();
            Ok(Provider { name, transport: builder.timeout(Some(TIMEOUT)).build(), rests_until: Mutex::default() })
        });
        let providers = providers.collect::<Result<Vec<_>, MailError>>()?;
        Ok(Self { from: from.parse().map_err(MailError::From)?, providers })
    }

    async fn hand_over(&self, message: Message) -> Result<(), Failure> {
        let mut reason = "no provider".to_owned();
        let mut all_refused = !self.providers.is_empty();
        let (rested, resting): (Vec<_>, Vec<_>) = self.providers.iter().partition(|provider| !provider.rests());
        // Resting providers are tried if no other accepts the mail.
        for provider in rested.into_iter().chain(resting) {
            match provider.transport.send(message.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    if is_the_providers(&error) {
                        provider.rest();
                    }
                    all_refused &= refuses_recipient(&error);
                    reason = format!("{}: {}", provider.name, told(&error));
                    tracing::warn!(provider = provider.name, reason, "an SMTP provider did not take a mail");
                }
            }
        }
        Err(if all_refused { Failure::Final(reason) } else { Failure::Passing(reason) })
    }
}

impl Deliverer {
    #[must_use]
    pub fn new(pool: PgPool, keyring: Arc<Keyring>, outlet: Arc<ArcSwap<Outlet>>, folder: PathBuf) -> Self {
        Self { pool, keyring, outlet, folder }
    }

    /// Runs forever, and looks for due mails every second.
    pub async fn run(self) {
        if self.outlet.load().providers.is_empty() {
            tracing::info!(folder = %self.folder.display(), "no SMTP server is set: mails become files");
        }
        let mut tidied = None::<Instant>;
        loop {
            if tidied.is_none_or(|at| at.elapsed() > TIDY_EVERY) {
                self.tidy().await;
                tidied = Some(Instant::now());
            }
            match store::take(&self.pool).await {
                Ok(due) if !due.is_empty() => {
                    for mail in due {
                        self.send(mail).await;
                    }
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the outbox can't be read"),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// Removes the files of mails that went with their tenant.
    async fn tidy(&self) {
        let Ok(files) = fs::read_dir(&self.folder) else { return };
        let ids = files.filter_map(|file| file.ok()?.path().file_stem()?.to_str()?.parse().ok()).collect::<Vec<Uuid>>();
        if ids.is_empty() {
            return;
        }
        match store::gone(&self.pool, &ids).await {
            Ok(gone) => {
                for id in gone {
                    let path = self.folder.join(format!("{id}.eml"));
                    if let Err(error) = fs::remove_file(&path) {
                        tracing::warn!(file = %path.display(), %error, "the mail of a tenant that is gone could not be removed");
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "it is not known which mails are gone"),
        }
    }

    async fn send(&self, mail: store::Due) {
        let outlet = self.outlet.load_full();
        let sent = match self.message(&outlet.from, &mail) {
            Ok(message) if outlet.providers.is_empty() => self.keep(&mail, &message),
            Ok(message) => outlet.hand_over(message).await,
            Err(failure) => Err(failure),
        };
        let written = match sent {
            Ok(()) => {
                counter!("dialplane_mails_total", "outcome" => "sent").increment(1);
                store::sent(&self.pool, mail.id).await
            }
            Err(failure) => {
                let (reason, again) = match failure {
                    Failure::Final(reason) => (reason, None),
                    Failure::Passing(reason) => (reason, next_attempt(&mail)),
                };
                let outcome = if again.is_some() { "delayed" } else { "failed" };
                counter!("dialplane_mails_total", "outcome" => outcome).increment(1);
                tracing::warn!(mail = %mail.id, attempts = mail.attempts, reason, "a mail was not sent");
                store::not_sent(&self.pool, mail.id, &reason, again).await
            }
        };
        if let Err(error) = written {
            tracing::warn!(mail = %mail.id, %error, "the result of sending a mail could not be saved");
        }
    }

    fn message(&self, from: &Mailbox, mail: &store::Due) -> Result<Message, Failure> {
        let text = self.keyring.open_sealed(place(mail.id), &mail.sealed).map_err(|error| match error {
            // Another node has the key, or this one gets it.
            KeyringError::UnknownKey(_) => Failure::Passing(error.to_string()),
            error => Failure::Final(error.to_string()),
        })?;
        let letter: Letter =
            serde_json::from_str(&text).map_err(|_| Failure::Final("its text is damaged".to_owned()))?;
        let to = mail.recipient.parse::<Mailbox>().map_err(|error| Failure::Final(error.to_string()))?;
        let domain = from.email.domain();
        let mut body = MultiPart::alternative_plain_html(letter.text, letter.html);
        if let Some(table) = letter.attachment {
            let kind = header::ContentType::parse("text/csv; charset=utf-8");
            let kind = kind.map_err(|error| Failure::Final(error.to_string()))?;
            let part = Attachment::new(table.name).body(table.csv, kind);
            body = MultiPart::mixed().multipart(body).singlepart(part);
        }
        Message::builder()
            .from(from.clone())
            .to(to)
            .subject(letter.subject)
            .message_id(Some(format!("<{}@{domain}>", mail.id)))
            .date_now()
            .header(AutoSubmitted)
            .multipart(body)
            .map_err(|error| Failure::Final(error.to_string()))
    }

    fn keep(&self, mail: &store::Due, message: &Message) -> Result<(), Failure> {
        let path = self.folder.join(format!("{}.eml", mail.id));
        let written = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).and_then(|()| {
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(&message.formatted())
        });
        written.map_err(|error| Failure::Passing(format!("{}: {error}", path.display())))?;
        tracing::info!(file = %path.display(), "a mail was written to a file");
        Ok(())
    }
}

impl Provider {
    fn rests(&self) -> bool {
        let until = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| until > Instant::now())
    }

    fn rest(&self) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
    }
}

/// Whether the provider would also fail with the next mail: it can't be reached, or refuses our login (53x: RFC 4954).
fn is_the_providers(error: &SmtpError) -> bool {
    if error.is_transient() {
        return false;
    }
    error.status().is_none_or(|code| code.category == Category::Unspecified3)
}

/// Whether the recipient is refused for good. Any other 5xx is about the provider, our account there or its rules (a 550 may
/// be too, and says so). Then another provider may accept the mail, or this one once it is configured correctly.
fn refuses_recipient(error: &SmtpError) -> bool {
    let is_about_recipient =
        error.status().is_some_and(|code| matches!(code.to_string().as_str(), "550" | "551" | "553"));
    let said = error.source().map(|said| said.to_string().to_ascii_lowercase()).unwrap_or_default();
    // X.7: security or policy (RFC 3463).
    is_about_recipient && !said.starts_with("5.7.") && !said.contains("relay")
}

/// What the server said, but never what was sent to it.
fn told(error: &SmtpError) -> String {
    error.to_string().chars().take(300).collect()
}

/// Minutes until the next; `None`: no more.
fn next_attempt(mail: &store::Due) -> Option<i32> {
    if mail.is_old {
        return None;
    }
    let at = usize::try_from(mail.attempts - 1).unwrap_or(0).min(BACK_OFF_MINUTES.len() - 1);
    Some(BACK_OFF_MINUTES[at])
}

/// RFC 3834: no out-of-office answers to this.
#[derive(Clone)]
struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_providers_are_not_printed() {
        let given: Providers =
            serde_json::from_str("\"smtp://u:hunter2@a.test:25, smtps://v:hunter3@b.test\"").unwrap();
        assert_eq!(given.0.len(), 2);
        assert_eq!(format!("{given:?}"), "2 SMTP providers");
    }
}
