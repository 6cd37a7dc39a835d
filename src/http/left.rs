//! Whoever is limited is told what is left: `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers). Rules note it where they
//! count, and every answer to the request has it, a refusal too.

use std::{cell::RefCell, fmt::Write as _};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// What a limit allows, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The limit's name, in lower case with hyphens.
    pub policy: &'static str,
    /// How many are allowed, in `window` seconds; without a window, at once.
    pub quota: i64,
    pub window: Option<i64>,
    pub left: i64,
    /// In how many seconds there are more.
    pub reset: Option<i64>,
}

tokio::task_local! {
    static NOTED: RefCell<Vec<Left>>;
}

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Does the work of a request, and says which limits it met.
pub async fn within<T>(work: impl Future<Output = T>) -> (T, Vec<Left>) {
    NOTED
        .scope(RefCell::default(), async {
            let done = work.await;
            (done, NOTED.with(RefCell::take))
        })
        .await
}

/// Notes what is left. Outside of requests, nobody is told. Of several of one name, the tightest counts.
pub fn note(left: Left) {
    let left = Left { left: left.left.max(0), ..left };
    let _ = NOTED.try_with(|noted| {
        let mut noted = noted.borrow_mut();
        match noted.iter_mut().find(|known| known.policy == left.policy) {
            Some(known) if known.left > left.left || known.left == left.left && known.reset < left.reset => {
                *known = left;
            }
            Some(_) => {}
            None => noted.push(left),
        }
    });
}

/// Writes the headers.
pub fn tell(headers: &mut HeaderMap, noted: &[Left]) {
    if noted.is_empty() {
        return;
    }
    let (mut policies, mut limits) = (String::new(), String::new());
    for (at, left) in noted.iter().enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ = write!(policies, "{comma}\"{}\";q={}", left.policy, left.quota);
        let _ = write!(limits, "{comma}\"{}\";r={}", left.policy, left.left);
        if let Some(window) = left.window {
            let _ = write!(policies, ";w={window}");
        }
        if let Some(reset) = left.reset {
            let _ = write!(limits, ";t={}", reset.max(0));
        }
    }
    for (name, text) in [(POLICY, policies), (LIMIT, limits)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGN_INS: Left = Left { policy: "sign-ins", quota: 5, window: Some(86_400), left: 4, reset: None };

    #[actix_web::test]
    async fn an_answer_says_what_is_left_of_each_limit_that_it_met() {
        note(SIGN_INS);
        let ((), noted) = within(async {
            note(Left { quota: 30, left: 29, ..SIGN_INS });
            note(SIGN_INS);
            note(Left { quota: 30, left: 12, ..SIGN_INS });
            note(Left { policy: "calls", quota: 10, window: Some(1), left: -3, reset: Some(1) });
        })
        .await;
        let mut headers = HeaderMap::new();
        tell(&mut headers, &noted);
        assert_eq!(headers.get("RateLimit-Policy").unwrap(), "\"sign-ins\";q=5;w=86400, \"calls\";q=10;w=1");
        assert_eq!(headers.get("RateLimit").unwrap(), "\"sign-ins\";r=4, \"calls\";r=0;t=1");
        let ((), none) = within(async {}).await;
        let mut headers = HeaderMap::new();
        tell(&mut headers, &none);
        assert!(headers.is_empty());
    }
}
