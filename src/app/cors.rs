//! Requests by the pages of other sites, from a browser. A key names the origins whose pages may use it; cookies are never for them.
//!
//! Browsers ask before they send a key, and can't show one then. So that question is answered for every origin that any key names, and
//! the answer to the request itself is readable only for pages of an origin of its own key. Not `actix-cors`: it decides by the request
//! alone, and here the key decides.

use actix_web::{
    HttpMessage as _, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method,
        header::{self, HeaderValue},
    },
    middleware::Next,
    web::Data,
};

use crate::{
    http::problem::Problem,
    tenancy::{Api, auth::actor::Origins, keys},
};

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const HEADERS: HeaderValue =
    HeaderValue::from_static("X-API-Key, Authorization, Content-Type, Accept-Language, If-Match, Idempotency-Key");
const READABLE: HeaderValue = HeaderValue::from_static(
    "ETag, Location, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, Dialplane-Visible, Idempotency-Replayed",
);
/// For how many seconds a browser keeps the answer to its question.
const LASTS: HeaderValue = HeaderValue::from_static("600");

pub async fn pages_of_others(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let origin = request.headers().get(header::ORIGIN).filter(|_| request.path().starts_with("/v1/")).cloned();
    let Some(origin) = origin else { return next.call(request).await.map(ServiceResponse::map_into_boxed_body) };
    let asks = request.method() == Method::OPTIONS && request.headers().contains_key("Access-Control-Request-Method");
    if asks {
        return Ok(question(request, origin).await);
    }
    let mut answer = next.call(request).await?.map_into_boxed_body();
    let is_named = answer.request().extensions().get::<Origins>().is_some_and(|named| named.have(&origin));
    let headers = answer.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if is_named {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, READABLE);
    }
    Ok(answer)
}

/// The answer to a browser that asks whether it may send a request.
async fn question(request: ServiceRequest, origin: HeaderValue) -> ServiceResponse<BoxBody> {
    let api = request.app_data::<Data<Api>>().cloned();
    let named = match (api, origin.to_str()) {
        (Some(api), Ok(text)) => keys::store::is_named(api.pool(), &text.to_ascii_lowercase()).await,
        _ => Ok(false),
    };
    let mut answer = match named {
        Ok(true) => HttpResponse::NoContent().finish(),
        Ok(false) => return request.into_response(HttpResponse::NoContent().finish()),
        Err(error) => return request.into_response(HttpResponse::from_error(Problem::from(error))),
    };
    let headers = answer.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, LASTS);
    request.into_response(answer)
}
