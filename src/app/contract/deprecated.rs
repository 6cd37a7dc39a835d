//! Operations that will go: their answers say since when they should no longer be used (`Deprecation`, RFC 9745), when they go (`Sunset`,
//! RFC 8594) and what to use instead, and the description marks them. What is promised is in `docs/versioning.md`.

use actix_web::{
    dev::ServiceResponse,
    http::header::{HeaderMap, HeaderName, HeaderValue},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

/// An operation that will go.
pub struct Deprecated {
    pub method: &'static str,
    /// As it stands in the description.
    pub path: &'static str,
    /// The days, as `2026-11-28`.
    pub since: &'static str,
    pub until: &'static str,
    /// The path to use instead.
    pub instead: &'static str,
}

/// There are none at present. An entry here is all that it takes.
pub const LIST: &[Deprecated] = &[];

/// For how long at least an operation still answers.
const NOTICE: TimeDelta = TimeDelta::days(365);

const DEPRECATION: &str = "deprecation";
const SUNSET: &str = "sunset";
const LINK: &str = "link";

impl Deprecated {
    fn is(&self, method: &str, path: &str) -> bool {
        self.method.eq_ignore_ascii_case(method) && self.path == path
    }

    /// When it is marked, and when it goes: not before the time of notice is over, whatever the entry says.
    fn days(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let day = |text: &str| format!("{text}T00:00:00Z").parse::<DateTime<Utc>>().ok();
        let since = day(self.since)?;
        Some((since, day(self.until)?.max(since + NOTICE)))
    }

    fn put(&self, headers: &mut HeaderMap) {
        let Some((since, until)) = self.days() else { return };
        for (name, value) in [
            (DEPRECATION, format!("@{}", since.timestamp())),
            (SUNSET, until.format("%a, %d %b %Y %H:%M:%S GMT").to_string()),
            (LINK, format!("<{}>; rel=\"successor-version\", </docs>; rel=\"deprecation\"", self.instead)),
        ] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// Announces it on the answer of an operation that will go.
pub fn announce<B>(list: &[Deprecated], answer: &mut ServiceResponse<B>) {
    let request = answer.request();
    let Some(path) = request.match_pattern() else { return };
    let found = list.iter().find(|one| one.is(request.method().as_str(), &path));
    if let Some(found) = found {
        found.put(answer.headers_mut());
    }
}

/// The headers, for the description.
pub fn headers() -> [(&'static str, Value); 3] {
    let text = |description: &str, example: &str| json!({ "description": description, "schema": { "type": "string" }, "example": example });
    [
        (
            "Deprecation",
            text("Since when it should no longer be used (RFC 9745): `@` and seconds of Unix.", "@1795780800"),
        ),
        ("Sunset", text("When it will no longer answer (RFC 8594).", "Sun, 28 Nov 2027 00:00:00 GMT")),
        ("Link", text("What to use instead, and where it is explained.", "</v1/tenants>; rel=\"successor-version\"")),
    ]
}

/// Marks them in the description. Answers get the headers by reference.
pub fn mark(list: &[Deprecated], described: &mut Value) {
    for one in list {
        let Some(operation) = described["paths"][one.path].get_mut(one.method.to_lowercase()) else { continue };
        operation["deprecated"] = true.into();
        let note = format!("**Deprecated** since {}: use `{}`.", one.since, one.instead);
        let said = operation["description"].as_str().unwrap_or_default();
        operation["description"] = format!("{said}\n\n{note}").trim().into();
        let responses = operation["responses"].as_object_mut().into_iter().flatten();
        for (_, response) in responses.filter(|(status, _)| status.starts_with('2')) {
            for (name, _) in headers() {
                response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
            }
        }
        for (name, header) in headers() {
            described["components"]["headers"][name] = header;
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{App, HttpResponse, dev::Service as _, test, web};

    use super::*;

    const OLD: &[Deprecated] = &[
        Deprecated {
            method: "GET",
            path: "/v1/old/{id}",
            since: "2026-11-28",
            until: "2028-01-01",
            instead: "/v1/new/{id}",
        },
        Deprecated {
            method: "POST",
            path: "/v1/old/{id}",
            since: "2026-11-28",
            until: "2026-12-01",
            instead: "/v1/new",
        },
    ];

    #[actix_web::test]
    async fn an_operation_that_will_go_says_since_when_until_when_and_what_to_use_instead() {
        let answers = || HttpResponse::Ok().finish();
        let route = web::resource("/v1/old/{id}")
            .route(web::get().to(move || async move { answers() }))
            .route(web::post().to(move || async move { answers() }))
            .route(web::put().to(move || async move { answers() }));
        let app = App::new().service(route).wrap_fn(|request, service| {
            let answer = service.call(request);
            async move {
                let mut answer = answer.await?;
                announce(OLD, &mut answer);
                Ok(answer)
            }
        });
        let app = test::init_service(app).await;
        let mut said = Vec::new();
        for method in [actix_web::http::Method::GET, actix_web::http::Method::POST, actix_web::http::Method::PUT] {
            let request = test::TestRequest::with_uri("/v1/old/7").method(method).to_request();
            let answer = test::call_service(&app, request).await;
            let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            said.push((header("Deprecation"), header("Sunset"), header("Link")));
        }
        let (deprecation, sunset, link) = &said[0];
        assert_eq!(deprecation.as_deref(), Some("@1795824000"));
        assert_eq!(sunset.as_deref(), Some("Sat, 01 Jan 2028 00:00:00 GMT"));
        assert!(link.as_deref().unwrap().starts_with("</v1/new/{id}>; rel=\"successor-version\""), "{link:?}");
        // Nobody has less than a year.
        assert_eq!(said[1].1.as_deref(), Some("Sun, 28 Nov 2027 00:00:00 GMT"));
        assert_eq!(said[2], (None, None, None), "another method of the path stays");
    }

    #[::core::prelude::v1::test]
    fn the_description_marks_what_will_go() {
        let operation = || json!({ "description": "Show it.", "responses": { "200": {}, "404": {} } });
        let mut described = json!({ "paths": { "/v1/old/{id}": { "get": operation(), "put": operation() } }, "components": { "headers": {} } });
        mark(OLD, &mut described);
        let path = &described["paths"]["/v1/old/{id}"];
        assert_eq!(path["get"]["deprecated"], true);
        assert!(path["get"]["description"].as_str().unwrap().ends_with("use `/v1/new/{id}`."));
        assert_eq!(path["get"]["responses"]["200"]["headers"]["Sunset"]["$ref"], "#/components/headers/Sunset");
        assert!(path["put"].get("deprecated").is_none() && path["get"]["responses"]["404"].get("headers").is_none());
        assert!(described["components"]["headers"]["Deprecation"].is_object());
    }

    #[::core::prelude::v1::test]
    fn each_entry_has_days_that_can_be_read() {
        for one in LIST.iter().chain(OLD) {
            assert!(one.days().is_some(), "{} {}", one.method, one.path);
        }
    }
}
