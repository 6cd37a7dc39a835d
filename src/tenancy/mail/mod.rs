//! Mails: rendered and queued in the transaction of the change that they are about, sent after it.

pub mod api;
pub mod deliver;
mod letter;
pub mod store;
mod words;

use sqlx::PgConnection;
use uuid::Uuid;

pub use self::letter::Letter;
use crate::{
    model::error::{Error, Result},
    model::language::Language,
    node::changes::Change,
    text::{
        Code, Email,
        keyring::{Keyring, Place},
    },
};

/// What a mail is about. Links work once, so they are in no log and no error.
pub enum Message<'a> {
    /// A new agent or owner, who now chooses a password.
    Welcome {
        name: &'a str,
        tenant: &'a str,
        link: &'a str,
    },
    VerifyEmail {
        name: &'a str,
        link: &'a str,
    },
    ResetPassword {
        name: &'a str,
        link: &'a str,
    },
    PasswordChanged {
        name: &'a str,
    },
    /// Somebody registered with an address that has an account.
    AddressTaken {
        sign_in_link: &'a str,
        forgot_link: &'a str,
    },
    SignInLocked {
        name: &'a str,
    },
    /// The tenant has another domain, which phones have to be changed to.
    DomainChanged {
        name: &'a str,
        tenant: &'a str,
        from: &'a str,
        to: &'a str,
        /// The last day of the former one; `None` if it no longer works.
        until: Option<&'a str>,
    },
    /// Somebody of the tenant called an emergency number.
    EmergencyCall {
        number: &'a str,
        extension: &'a str,
        location: &'a str,
    },
    /// What the tenant used in a month came near a limit, or reached it.
    UsageAlert {
        name: &'a str,
        /// What was measured, and the amounts, as people read them.
        measure: &'a str,
        percent: i16,
        used: &'a str,
        most: &'a str,
        /// Such as `2026-11`.
        month: &'a str,
    },
    /// A report that comes every day, week or month.
    Report {
        name: &'a str,
        /// What the tenant calls it.
        report: &'a str,
        /// The first day and the last.
        since: &'a str,
        until: &'a str,
        /// Figures as people read them: how many calls, how many in the time before, the share that was answered, and that which was in time.
        calls: &'a str,
        before: &'a str,
        answered: &'a str,
        in_time: &'a str,
        /// The table, and what its file is called.
        file: &'a str,
        table: &'a str,
    },
}

impl Message<'_> {
    /// Its name in `mail list`.
    #[must_use]
    pub fn template(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::VerifyEmail { .. } => "verify_email",
            Self::ResetPassword { .. } => "reset_password",
            Self::PasswordChanged { .. } => "password_changed",
            Self::AddressTaken { .. } => "address_taken",
            Self::SignInLocked { .. } => "sign_in_locked",
            Self::DomainChanged { .. } => "domain_changed",
            Self::EmergencyCall { .. } => "emergency_call",
            Self::UsageAlert { .. } => "usage_alert",
            Self::Report { .. } => "report",
        }
    }

    /// A table that comes with it.
    fn attachment(&self) -> Option<letter::Attachment> {
        match self {
            Self::Report { file, table, .. } => {
                Some(letter::Attachment { name: (*file).to_owned(), csv: (*table).to_owned() })
            }
            _ => None,
        }
    }
}

/// Where a mail's text is kept, for sealing it.
fn place(id: Uuid) -> Place {
    Place { column: "mail_outbox.sealed", tenant: Uuid::nil(), row: id }
}

/// Queues a mail within a change. It is sent once the change is committed, and never if it is not.
pub async fn queue(
    change: &mut Change,
    tenant: Option<Uuid>,
    to: &Email,
    language: Language,
    message: &Message<'_>,
) -> Result<()> {
    let keyring = change.keyring();
    put(change.db(), &keyring, tenant, to, language, message).await
}

/// Queues many of a tenant's mails within a change.
pub async fn queue_all(
    change: &mut Change,
    tenant: Option<Uuid>,
    mails: impl IntoIterator<Item = (&Email, Language, Message<'_>)>,
) -> Result<()> {
    let keyring = change.keyring();
    let mut columns = store::NewMails::default();
    for (to, language, message) in mails {
        write(&mut columns, &keyring, to, language, &message)?;
    }
    Ok(store::insert(change.db(), tenant, &columns).await?)
}

/// Queues a mail within any transaction.
pub async fn put(
    db: &mut PgConnection,
    keyring: &Keyring,
    tenant: Option<Uuid>,
    to: &Email,
    language: Language,
    message: &Message<'_>,
) -> Result<()> {
    let mut columns = store::NewMails::default();
    write(&mut columns, keyring, to, language, message)?;
    Ok(store::insert(db, tenant, &columns).await?)
}

fn write(
    mails: &mut store::NewMails,
    keyring: &Keyring,
    to: &Email,
    language: Language,
    message: &Message<'_>,
) -> Result<()> {
    let letter =
        Letter::render(message, language).map_err(|e| Error::invalid("mail", Code::NotMade.with("reason", e)))?;
    let id = Uuid::now_v7();
    let text = serde_json::to_string(&letter).map_err(|e| Error::invalid("mail", Code::NotMade.with("reason", e)))?;
    mails.push(id, to.as_str(), message.template(), language, keyring.seal(place(id), &text));
    Ok(())
}
