//! `?fields=id,name`: items of a list with only some of their members, for whoever reads many and needs little of each.

use std::collections::BTreeSet;

use actix_web::{
    body::{self, BoxBody},
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    web::Query,
};
use serde_json::Value;

use crate::{http::problem::Problem, model::error::Error, text::Code};

/// The name of the parameter.
pub const FIELDS: &str = "fields";

/// The members that a request wants of each item, if it names some.
pub fn wanted(query: &str) -> Option<Vec<String>> {
    let asked = Query::<Vec<(String, String)>>::from_query(query).ok()?.into_inner();
    let (_, names) = asked.into_iter().find(|(name, _)| name == FIELDS)?;
    // Each once: every item is compared with all of them.
    let names = names.split(',').map(|name| name.trim().to_owned()).collect::<BTreeSet<_>>();
    Some(names.into_iter().collect())
}

/// Why a request for some members is refused: one of them is none of the list's.
pub fn unknown(wanted: &[String], members: &[String]) -> Option<Problem> {
    let name = wanted.iter().find(|name| !members.contains(name))?;
    let why = Code::UnknownMember.with("name", name).with("known", members.join(", "));
    Some(Error::query(FIELDS, why).into())
}

/// The answer with only these members of each item.
pub async fn only(
    answer: ServiceResponse<BoxBody>,
    wanted: &[String],
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if answer.status() != StatusCode::OK {
        return Ok(answer);
    }
    let (request, answer) = answer.into_parts();
    let (answer, content) = answer.into_parts();
    let content = body::to_bytes(content).await.map_err(actix_web::error::ErrorInternalServerError)?;
    let mut page = serde_json::from_slice::<Value>(&content).unwrap_or_default();
    for item in page.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(members) = item.as_object_mut() {
            members.retain(|name, _| wanted.contains(name));
        }
    }
    Ok(ServiceResponse::new(request, answer.set_body(BoxBody::new(page.to_string()))))
}

/// What a request wants of each item, if its route is a list.
pub fn of(request: &ServiceRequest) -> Option<Vec<String>> {
    if request.path().starts_with("/v1/") { wanted(request.query_string()) } else { None }
}
