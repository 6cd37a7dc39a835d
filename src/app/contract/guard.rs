//! What the description of the API does not have is refused by name: query parameters, types of bodies, and methods.

use actix_web::{
    FromRequest as _, HttpRequest, HttpResponse, ResponseError as _,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
    web::Query,
};

use super::{Takes, contract, deprecated, members};
use crate::{
    http::problem::Problem,
    tenancy::auth::{
        actor::Actor,
        rules::{self, Rule},
    },
    text::Code,
};

/// What clients send without meaning it: curl's default, and what says nothing about the content.
const UNSAID: [&str; 3] = ["application/x-www-form-urlencoded", "application/octet-stream", "text/plain"];

/// Refuses a request of the API that has a query parameter or a type of body which its route doesn't know. Left out silently, a misspelt
/// filter would return everything.
pub async fn known(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(problem) = unknown(&request) else {
        let wanted = members::of(&request);
        let mut answer = next.call(request).await.map(ServiceResponse::map_into_boxed_body)?;
        deprecated::announce(deprecated::LIST, &mut answer);
        return match wanted {
            Some(wanted) => members::only(answer, &wanted).await,
            None => Ok(answer),
        };
    };
    // Whoever may not ask at all hears that first.
    let pattern = request.match_pattern().unwrap_or_default();
    let problem = match rules::rule(request.method(), &pattern) {
        Some(Rule::Anyone) => problem,
        _ => Actor::extract(request.request()).await.err().unwrap_or(problem),
    };
    Ok(request.into_response(HttpResponse::from_error(problem)))
}

fn unknown(request: &ServiceRequest) -> Option<Problem> {
    let media = request.headers().get(header::CONTENT_TYPE);
    if !request.path().starts_with("/v1/") || (request.query_string().is_empty() && media.is_none()) {
        return None;
    }
    let takes = contract().routes.get(&request.match_pattern()?)?.get(request.method().as_str())?;
    let media = media.and_then(|media| media.to_str().ok());
    let query = request.query_string();
    let unknown_member = || members::unknown(&members::wanted(query)?, &takes.members);
    unknown_parameter(takes, query).or_else(unknown_member).or_else(|| wrong_type(takes, media?))
}

fn unknown_parameter(takes: &Takes, query: &str) -> Option<Problem> {
    let asked = Query::<Vec<(String, String)>>::from_query(query).ok()?.into_inner();
    let name = asked.into_iter().map(|(name, _)| name).find(|name| !takes.parameters.contains(name))?;
    let known = if takes.parameters.is_empty() { "none".to_owned() } else { takes.parameters.join(", ") };
    let why = Code::UnknownParameter.with("name", &name).with("known", known);
    Some(Problem::from(why).field(name))
}

fn wrong_type(takes: &Takes, sent: &str) -> Option<Problem> {
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let fits = |taken: &String| *taken == essence || taken.ends_with("/json") && essence.ends_with("+json");
    let is_fine = takes.bodies.is_empty() || UNSAID.contains(&essence.as_str()) || takes.bodies.iter().any(fits);
    let why = || Code::WrongMediaType.with("taken", takes.bodies.join(" or ")).with("sent", &essence);
    (!is_fine).then(|| why().into())
}

/// The answer to a method that a path of the API does not have, if there is such a path.
fn other_method(request: &HttpRequest) -> Option<HttpResponse> {
    let methods = contract().routes.get(&request.match_pattern()?)?.keys();
    let allowed = methods.map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut answer = Problem::from(Code::MethodNotAllowed.with("allowed", &allowed)).error_response();
    answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_str(&allowed).ok()?);
    Some(answer)
}

/// Answers paths that don't exist.
pub async fn nothing(request: HttpRequest) -> Result<HttpResponse, crate::app::web::Turned> {
    let accepts = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/html") {
        return Err(Problem::from(Code::PageNotFound).into());
    }
    Ok(other_method(&request).unwrap_or_else(|| Problem::from(Code::PageNotFound).error_response()))
}
