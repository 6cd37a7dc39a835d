//! Web origins.

use url::{Host, Url};

use super::{Code, TextError, text_type};

text_type! {
    /// A web origin as browsers send it: `https://crm.example`, perhaps with a port. `http` is for pages on one's own computer only.
    Origin, parse_origin, "https://crm.example"
}

fn parse_origin(text: &str) -> Result<String, TextError> {
    const WHAT: TextError = TextError(Code::NotAnOrigin);
    let url = Url::parse(text).map_err(|_| WHAT)?;
    let is_own = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    // The URL parser accepts characters that host names don't have.
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    let is_host = url.host().is_some_and(|host| !matches!(host, Host::Domain(name) if !is_name(name)));
    let is_fine = url.scheme() == "https" || url.scheme() == "http" && is_own;
    let origin = url.origin().ascii_serialization();
    // A path, a user or a final slash would never match what a browser sends.
    if is_fine && is_host && origin.eq_ignore_ascii_case(text) && text.len() <= 255 { Ok(origin) } else { Err(WHAT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_sends_and_nothing_else() {
        for (text, origin) in [
            ("https://crm.example", "https://crm.example"),
            ("HTTPS://CRM.example", "https://crm.example"),
            ("https://crm.example:8443", "https://crm.example:8443"),
            ("http://localhost:5173", "http://localhost:5173"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().as_str(), origin);
        }
        for text in [
            "*",
            "null",
            "crm.example",
            "http://crm.example",
            "https://crm.example/",
            "https://crm.example/app",
            "https://user@crm.example",
            "https://crm.example:443",
            "https://*.example",
            "ftp://crm.example",
            "https://",
            "javascript:alert(1)",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }
}
