//! How long requests of people and scripts take, by part, method and outcome. Nothing is labelled by path: their number is bounded.

use std::time::Instant;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode},
    middleware::Next,
    web::Data,
};

use crate::node::histogram::{self, Histogram, Summary};

const PARTS: [&str; 3] = ["api", "pages", "status"];
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "other"];
const OUTCOMES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

#[derive(Debug, Default)]
pub struct Timing([[[Histogram; OUTCOMES.len()]; METHODS.len()]; PARTS.len()]);

impl Timing {
    fn series(&self, path: &str, method: &Method, status: StatusCode) -> &Histogram {
        let part = match path {
            "/healthz" | "/readyz" | "/readyz/switches" | "/readyz/people" | "/metrics" | "/openapi.json" => 2,
            path if path.starts_with("/v1/") => 0,
            _ => 1,
        };
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let outcome = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        &self.0[part][method][outcome]
    }

    /// By part, method and outcome.
    pub fn summaries(&self) -> impl Iterator<Item = ([&'static str; 3], Summary)> {
        let parts = PARTS.iter().zip(&self.0);
        let methods =
            parts.flat_map(|(part, methods)| METHODS.iter().zip(methods).map(move |(method, of)| (*part, *method, of)));
        let all = methods.flat_map(|(part, method, outcomes)| {
            OUTCOMES.iter().zip(outcomes).map(move |(outcome, of)| ([part, method, *outcome], of))
        });
        all.filter_map(|(labels, of)| Some((labels, of.summary()?)))
    }

    /// Adds its lines in Prometheus' text format.
    pub fn write(&self, text: &mut String) {
        let name = "dialplane_http_request_duration_seconds";
        histogram::head(
            text,
            name,
            "Time until a request of the app listener was answered, by part, method and status.",
        );
        for (part, methods) in PARTS.iter().zip(&self.0) {
            for (method, outcomes) in METHODS.iter().zip(methods) {
                for (outcome, series) in OUTCOMES.iter().zip(outcomes) {
                    let labels = format!("part=\"{part}\",method=\"{method}\",status=\"{outcome}\"");
                    series.write(text, name, &labels);
                }
            }
        }
    }
}

/// Measures each request.
pub async fn requests(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    let timing = request.app_data::<Data<Timing>>().cloned();
    let (path, method) = (request.path().to_owned(), request.method().clone());
    let answer = next.call(request).await;
    let status = match &answer {
        Ok(answer) => answer.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    if let Some(timing) = timing {
        timing.series(&path, &method, status).record(began.elapsed());
    }
    answer
}
