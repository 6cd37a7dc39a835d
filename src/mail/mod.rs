//! stub
use crate::{
    changes::{Change, Result},
    text::Email,
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Language {
    #[default]
    En,
    De,
}
pub enum Message<'a> {
    Welcome { name: &'a str, tenant: &'a str, link: &'a str },
    VerifyEmail { name: &'a str, link: &'a str },
    ResetPassword { name: &'a str, link: &'a str },
    PasswordChanged { name: &'a str },
    AddressTaken { sign_in_link: &'a str, forgot_link: &'a str },
    SignInLocked { name: &'a str },
}
pub async fn queue(_: &mut Change, _: Option<Uuid>, _: &Email, _: Language, _: &Message<'_>) -> Result<()> {
    Ok(())
}
