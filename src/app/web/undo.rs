//! Undo: for a minute after something was changed that can be made as it was, the page that says so offers it. What the API is asked then
//! is kept, sealed, in the session. It names the version that the change left, so that nobody else's change is undone with it.

use actix_web::{
    HttpResponse,
    cookie::{Cookie, SameSite, time::Duration},
    http::Method,
    post,
    web::ServiceConfig,
};
use serde_json::{Map, Value};

use super::{
    Form, Page, UNDO_COOKIE, Visitor,
    ask::{Ask, turned},
    done,
    kept::{Inverse, Kept, keep_apart},
    sign_in::Sent,
};
use crate::{
    http::problem::Problem,
    tenancy::auth::rules::{Level, Resource},
    text::Code,
};

pub fn pages(config: &mut ServiceConfig) {
    config.service(undo);
}

/// The change that makes a thing as it was before a change: a merge patch if that was one (`is_deep`), in which what is not there was
/// empty. Otherwise what is not there is not shown, such as a password, and there is no way back: `None`.
pub fn inverse(before: &Value, change: &Value, is_deep: bool) -> Option<Value> {
    let mut inverse = Map::new();
    for (field, new) in change.as_object()? {
        let old = before.get(field).or(is_deep.then_some(&Value::Null))?;
        inverse.insert(field.clone(), if is_deep { merged_back(old, new) } else { old.clone() });
    }
    (!inverse.is_empty()).then_some(Value::Object(inverse))
}

/// A merge patch that takes back another. What was not there is removed.
fn merged_back(old: &Value, new: &Value) -> Value {
    let (Value::Object(before), Value::Object(after)) = (old, new) else { return old.clone() };
    let back = after.iter().map(|(field, new)| {
        let old = before.get(field).unwrap_or(&Value::Null);
        (field.clone(), merged_back(old, new))
    });
    Value::Object(back.collect())
}

/// Leads to another page, which says what was done and offers to undo it.
pub async fn done_undoable(visitor: &Visitor, to: &str, flash: &'static str, inverse: Inverse) -> Page {
    let id = keep_apart(&visitor.api, visitor.session()?, &Kept::Undo(inverse)).await?;
    let mut answer: HttpResponse = done(to, flash);
    let cookie = Cookie::build(UNDO_COOKIE, id.to_string()).path("/").http_only(true).same_site(SameSite::Lax);
    let _ = answer.add_cookie(&cookie.max_age(Duration::minutes(1)).finish());
    Ok(answer)
}

#[post("/undo")]
async fn undo(visitor: Visitor, sent: Sent) -> Page {
    let form = Form::of(sent.into_inner());
    visitor.sends(Resource::Account, Level::Own, &form).await?;
    let Some(Kept::Undo(inverse)) = visitor.kept(form.value("id").parse().ok()).await? else {
        return Ok(done("/", "undo.late"));
    };
    let method = Method::from_bytes(inverse.method.as_bytes()).map_err(|_| Problem::from(Code::PageNotFound))?;
    let ask = Ask::new(method, &inverse.path).json(&inverse.body).if_match(inverse.version);
    let flash = match visitor.ask(ask).await {
        Ok(_) => "undo.done",
        Err(problem) if problem.reason().why.code == Code::Changed => "undo.changed",
        Err(problem) => return Err(turned(problem)),
    };
    Ok(done(&inverse.to, flash))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_inverse_of_a_change_makes_a_thing_as_it_was() {
        let before = json!({ "name": "a", "members": [1, 2], "settings": { "dials": { "1": "x" }, "limit": null } });
        let change = json!({ "members": [1], "name": "b" });
        assert_eq!(inverse(&before, &change, false), Some(json!({ "members": [1, 2], "name": "a" })));
        let change = json!({ "settings": { "dials": { "1": null, "2": "y" }, "limit": 5 }, "language": "de" });
        let back = json!({ "settings": { "dials": { "1": "x", "2": null }, "limit": null }, "language": null });
        assert_eq!(inverse(&before, &change, true), Some(back));
    }

    #[test]
    fn what_is_not_shown_can_not_be_made_as_it_was() {
        assert_eq!(inverse(&json!({ "name": "a" }), &json!({ "name": "b", "password": "new" }), false), None);
        assert_eq!(inverse(&json!({ "name": "a" }), &json!({}), false), None);
    }
}
