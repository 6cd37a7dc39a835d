//! Emergency calls are recorded, and the tenant's contacts are told.

use sqlx::PgPool;
use uuid::Uuid;

use super::{admission::Ask, store};
use crate::{
    model::settings::Words,
    tenancy::mail::{self, Message},
    text::{Email, keyring::Keyring},
};

/// What the contacts are told.
#[derive(Debug, Clone)]
pub struct Alarm {
    pub tenant: Uuid,
    pub call: Uuid,
    pub number: String,
    /// The extension that called.
    pub extension: Option<String>,
    pub location: Option<Words>,
    pub contacts: Vec<Email>,
}

/// Records the call and queues the mails in one transaction, once per call.
pub async fn write_down(
    pool: &PgPool,
    keyring: &Keyring,
    ask: &Ask,
    alarm: &Alarm,
) -> Result<(), crate::model::error::Error> {
    let mut tx = pool.begin().await?;
    // A switch may fetch twice at once, but the contacts must be told only once.
    store::alone(&mut *tx, alarm.call).await?;
    let known = store::is_known(&mut *tx, alarm.tenant, alarm.call, &alarm.number).await?;
    store::admit(&mut *tx, ask).await?;
    if !known {
        if let (Some(shown), Some(extension)) = (ask.caller_ids.first(), ask.extension) {
            store::expect_callback(&mut tx, alarm.tenant, shown, extension).await?;
        }
        let language = store::language(&mut *tx, alarm.tenant).await?;
        let message = Message::EmergencyCall {
            number: &alarm.number,
            extension: alarm.extension.as_deref().unwrap_or("-"),
            location: alarm.location.as_ref().map_or("-", Words::as_str),
        };
        for contact in &alarm.contacts {
            mail::put(&mut tx, keyring, Some(alarm.tenant), contact, language.unwrap_or_default(), &message).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}
