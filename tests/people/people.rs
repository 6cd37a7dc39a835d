//! People for tests, created without mails.

use dialplane::{
    model::user::UserStatus,
    node::changes::Author,
    tenancy::{
        auth::{rules::Role, session, store},
        users::store as users,
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Answer, Node};

pub const PASSWORD: &str = "copper lantern walks 9 rivers";

/// Somebody who is signed in.
pub struct Person {
    pub id: Uuid,
    pub token: String,
}

/// A stranger's sign-up.
pub fn company(email: &str, domain: &str) -> Value {
    json!({ "company": "Acme", "domain": domain, "first_name": "Ada", "last_name": "Lovelace", "email": email,
        "password": PASSWORD })
}

/// Sends a request without a session.
pub async fn post(node: &Node, path: &str, body: Value) -> Answer {
    node.api_with("POST", path, &[], body).await
}

fn author() -> Author {
    Author { name: "test".into(), source: None, within: None }
}

/// Makes a user with a password and a session. Hashing is slow, so all share one hash.
pub async fn person(node: &Node, tenant: Option<Uuid>, role: Role, email: &str) -> Person {
    static HASH: tokio::sync::OnceCell<String> = tokio::sync::OnceCell::const_new();
    let hash = HASH.get_or_init(async || node.app.auth.passwords.hash(PASSWORD).await.unwrap()).await;
    let id = Uuid::now_v7();
    let mut change = node.app.changes.begin(author()).await.unwrap();
    let row = users::NewRow {
        id,
        tenant,
        email,
        first_name: "Test",
        last_name: "Person",
        role,
        status: UserStatus::Active,
        language: None,
        password_hash: Some(hash),
    };
    users::insert(change.db(), &row).await.unwrap();
    store::verify_email(change.db(), id).await.unwrap();
    let account = store::account(change.db(), id).await.unwrap().unwrap();
    let source = session::Source::default();
    let (_, tokens) = session::for_script(&node.app.auth, &mut change, &account, &source).await.unwrap();
    change.commit_quietly().await.unwrap();
    Person { id, token: tokens.access_token }
}

impl Person {
    /// Sends a request as this user, without a body if `body` is `Null`.
    pub async fn ask(&self, node: &Node, method: &str, path: &str, body: Value) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        node.api_with(method, path, &[("Authorization", &bearer)], body).await
    }
}
