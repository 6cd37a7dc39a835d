//! The page for errors: in the visitor's language, with the navigation, it says what happened and where to go next. It also replaces the
//! framework's own errors, so that no page answers with JSON.

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{ConnectionType, Method, StatusCode},
    middleware::Next,
    web::Data,
};
use tracing::Instrument as _;

use super::{
    Message, Shell, Turned, acting,
    again::{Again, is_ours},
    done, html, in_query, kept, language, once, resources, see_other,
    sign_in::{SignInPage, typed_at},
    theme,
};
use crate::{
    http::problem::Problem,
    tenancy::{Api, auth::actor::browser_session},
    text::Code,
};

impl std::fmt::Display for Turned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away | Self::Again(_) => f.write_str("sign in first"),
            Self::Elsewhere => f.write_str("choose a tenant first"),
            Self::Led(_) => f.write_str("this form was sent before"),
            Self::Problem(problem) => problem.fmt(f),
        }
    }
}

impl actix_web::ResponseError for Turned {
    /// Without the request, the language is unknown: [`as_pages`] makes the page.
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Away | Self::Again(_) => see_other("/sign-in"),
            Self::Elsewhere => see_other("/platform/tenants"),
            Self::Led(led) => led.answer(),
            Self::Problem(problem) => HttpResponse::new(actix_web::ResponseError::status_code(problem.as_ref())),
        }
    }
}

/// Whether people look at this path. The API and other paths for machines answer with JSON.
fn is_page(path: &str) -> bool {
    let machines = ["/v1", "/assets", "/openapi.json", "/healthz", "/readyz", "/metrics", "/fs"];
    !machines.iter().any(|known| path.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Why a request was refused.
enum Refused {
    Again(Again),
    Elsewhere,
    Problem(Problem),
}

fn refused(answer: &ServiceResponse) -> Option<Refused> {
    let error = answer.response().error()?;
    match error.as_error::<Turned>() {
        Some(Turned::Away) => {
            let uri = answer.request().uri();
            return Some(Refused::Again(Again::at(uri.path_and_query().map_or("/", |at| at.as_str()))));
        }
        Some(Turned::Led(_)) => return None,
        Some(Turned::Elsewhere) => return Some(Refused::Elsewhere),
        Some(Turned::Again(again)) => return Some(Refused::Again((**again).clone())),
        Some(Turned::Problem(problem)) => return Some(Refused::Problem((**problem).clone())),
        None => {}
    }
    if !is_page(answer.request().path()) {
        return None;
    }
    let problem = error.as_error::<Problem>().cloned().unwrap_or_else(|| match answer.status() {
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Code::PageNotFound.into(),
        status if status.is_server_error() => Problem::internal(error),
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge.with("mebibytes", super::MAX_FORM >> 20).into(),
        _ => Code::FormIncomplete.into(),
    });
    Some(Refused::Problem(problem))
}

/// Makes a page of every refusal, in the visitor's language and theme.
pub async fn as_pages(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let answer = if request.method() == Method::POST && is_page(request.path()) {
        sent(request, next).await?
    } else {
        next.call(request).await?.map_into_boxed_body()
    };
    let Some(refused) = refused(&answer) else { return Ok(answer) };
    let request = answer.request().clone();
    let shell = shell(&request).await;
    let mut page = match refused {
        Refused::Again(again) => sign_in_first(&request, &shell, &again).await,
        Refused::Elsewhere => done("/platform/tenants", "acting.choose"),
        Refused::Problem(problem) => problem_page(&request, &shell, &problem),
    };
    // Where the rest of a body is not wanted, the connection ends.
    if answer.response().head().connection_type() == ConnectionType::Close {
        page.head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(answer.into_response(page))
}

/// What comes of a form. Whoever clicks twice has their browser end the first request, and asks for its answer by the second: so the work
/// goes on without them.
async fn sent(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let work = async move {
        let answer = next.call(request).await?.map_into_boxed_body();
        once::settle(&answer).await;
        Ok(answer)
    };
    match actix_web::rt::spawn(work.in_current_span()).await {
        Ok(answer) => answer,
        // As if it had happened here.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(Problem::internal(&error).into()),
    }
}

async fn shell(request: &HttpRequest) -> Shell {
    let session = match request.app_data::<Data<Api>>() {
        // Without a database, nobody is known, but the page is still shown.
        Some(api) => browser_session(api, request).await.ok().flatten(),
        None => None,
    };
    let (me, csrf) = session.map_or((None, String::new()), |(live, csrf)| (Some(live), csrf));
    let language = language(request, me.as_ref());
    let acting = match request.app_data::<Data<Api>>() {
        Some(api) => acting::acting(api, request, me.as_ref()).await.ok().flatten(),
        None => None,
    };
    Shell { language, theme: theme(request), me, csrf, active: entry(request.path()), acting, ..Shell::default() }
}

/// The entry of the navigation that a path belongs to.
fn entry(path: &str) -> &'static str {
    if let Some(spec) = resources::of(path) {
        return spec.entry();
    }
    let entries = [
        ("/app", "home"),
        ("/platform/tenants", "tenants"),
        ("/platform", "clusters"),
        ("/audit", "audit"),
        ("/retention", "audit"),
        ("/account", "account"),
    ];
    entries.into_iter().find(|(begins, _)| path.starts_with(begins)).map_or("", |(_, name)| name)
}

/// Where the link on the page leads: if something was not found, to the list that the visitor came from, else to the start page.
fn onward(shell: &Shell, path: &str, status: StatusCode) -> (&'static str, &'static str) {
    if lacks_second_factor(shell) {
        return ("/account", "problem.to_account");
    }
    if status == StatusCode::NOT_FOUND && shell.me.is_some() {
        if entry(path) == "agents" {
            return ("/app/agents", "created.done");
        }
        if let Some(spec) = resources::of(path) {
            return (spec.home(), "thing.back");
        }
        match entry(path) {
            "tenants" => return ("/platform/tenants", "tenants.back"),
            "clusters" => return ("/platform/clusters", "clusters.back"),
            _ => {}
        }
    }
    ("/", "problem.back")
}

/// Whether the visitor has to set up a second factor before anything else.
fn lacks_second_factor(shell: &Shell) -> bool {
    shell.me.as_ref().is_some_and(|me| me.totp_missing)
}

fn problem_page(request: &HttpRequest, shell: &Shell, problem: &Problem) -> HttpResponse {
    let status = actix_web::ResponseError::status_code(problem);
    let reason = problem.reason();
    let title = match status {
        StatusCode::NOT_FOUND => "problem.not_found",
        StatusCode::FORBIDDEN => "problem.forbidden",
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => "problem.busy",
        _ => "problem.title",
    };
    let text = match reason.why.code {
        Code::NotFromOurPage => shell.t("problem.other_site").to_owned(),
        Code::QueryUnreadable => shell.t("problem.address").to_owned(),
        // The API's sentence names what was not found; the page has its own.
        Code::NotFound => shell.t("problem.not_found_text").to_owned(),
        // The role may well allow it.
        Code::Forbidden if lacks_second_factor(shell) => shell.t("account.two_factor_required").to_owned(),
        // Scopes, headers and tokens are words for programs.
        Code::Forbidden => shell.t("problem.forbidden_text").to_owned(),
        Code::Unauthorized => shell.t("problem.unauthorized_text").to_owned(),
        _ => shell.reason(&reason),
    };
    let page = Message {
        s: shell,
        title,
        text: &text,
        id: problem.log_id().map(|id| id.to_string()),
        next: Some(onward(shell, request.path(), status)),
    };
    html(status, &page).unwrap_or_else(|_| HttpResponse::InternalServerError().finish())
}

/// The sign-in page, which leads back to where the visitor was, with their input.
async fn sign_in_first(request: &HttpRequest, shell: &Shell, again: &Again) -> HttpResponse {
    if let Some(me) = &shell.me {
        // The page was opened in an earlier session.
        let back = if is_ours(&again.back) { again.back.as_str() } else { "/" };
        return match (request.app_data::<Data<Api>>(), again.kept()) {
            (Some(api), Some(kept)) => match kept::keep_apart(api, me.session, &kept).await {
                Ok(id) => see_other(&typed_at(back, id)),
                Err(problem) => problem_page(request, shell, &problem),
            },
            _ => done(back, "form.again"),
        };
    }
    let address =
        if again.back.is_empty() { "/sign-in".into() } else { format!("/sign-in?back={}", in_query(&again.back)) };
    if request.headers().contains_key("HX-Request") {
        // The sign-in page must not be put into a part of another page.
        return HttpResponse::Unauthorized().insert_header(("HX-Redirect", address)).finish();
    }
    if again.typed.is_empty() {
        let undone = if again.undone && !again.back.is_empty() { "&undone=1" } else { "" };
        return see_other(&format!("{address}{undone}"));
    }
    let page = SignInPage::first(shell, again);
    html(StatusCode::UNAUTHORIZED, &page).unwrap_or_else(|_| see_other(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_told_from_what_machines_ask() {
        for page in ["/", "/app/agents/not-an-id", "/problems/x", "/v1x", "/nothing"] {
            assert!(is_page(page), "{page}");
        }
        for machine in ["/v1", "/v1/tenants", "/assets/app.css", "/metrics", "/readyz"] {
            assert!(!is_page(machine), "{machine}");
        }
        assert_eq!(
            (entry("/app/agents/1"), entry("/app"), entry("/platform/switches/new")),
            ("agents", "home", "clusters")
        );
    }
}
