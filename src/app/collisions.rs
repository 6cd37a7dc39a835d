//! Requests whose changes waited for each other. Postgres ends one of them, and nothing of it is kept: that request is done again
//! here, instead of telling its sender to do so.

use std::{cell::RefCell, rc::Rc};

use actix_http::BoxedPayloadStream;
use actix_web::{
    Error,
    body::MessageBody,
    dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform},
    web::{Bytes, BytesMut},
};
use futures_util::{StreamExt as _, future::LocalBoxFuture};
use metrics::counter;
use std::future::{Ready, ready};

use super::web::Turned;
use crate::http::problem::Problem;

/// How often a request is tried. Each collision has cost a second before (`deadlock_timeout`).
const TRIES: usize = 5;
/// The largest body that is kept in case it is needed again. Larger ones are uploads, which wait for nobody's rows.
const KEPT: usize = 1 << 20;

/// A body as it was read so far; `None` once it became too large.
type Read = Rc<RefCell<Option<BytesMut>>>;

/// The middleware. It stands next to the routes, so that whatever looks at requests from further outside sees each of them once.
pub struct Again;

pub struct AgainService<S> {
    routes: Rc<S>,
}

impl<S, B> Transform<S, ServiceRequest> for Again
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = AgainService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(AgainService { routes: Rc::new(service) }))
    }
}

impl<S, B> Service<ServiceRequest> for AgainService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<ServiceResponse<B>, Error>>;

    actix_web::dev::forward_ready!(routes);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let routes = Rc::clone(&self.routes);
        if request.method().is_safe() {
            return Box::pin(routes.call(request));
        }
        let read = record(&mut request);
        Box::pin(async move {
            let mut answer = routes.call(request).await?;
            for _ in 1..TRIES {
                let body = read.borrow().as_ref().map(|body| Bytes::copy_from_slice(body));
                let Some(body) = body.filter(|_| gave_way(&answer)) else { break };
                counter!("dialplane_changes_again_total").increment(1);
                let (request, refused) = answer.into_parts();
                drop(refused);
                // Nothing else has this request now: handlers are done with it when they answer.
                let mut again = ServiceRequest::from_parts(request, Payload::from(body));
                again.match_info_mut().reset();
                answer = routes.call(again).await?;
            }
            Ok(answer)
        })
    }
}

/// Notes what is read of a body.
fn record(request: &mut ServiceRequest) -> Read {
    let read = Read::new(RefCell::new(Some(BytesMut::new())));
    let payload = request.parts_mut().1.take();
    if matches!(payload, Payload::None) {
        return read;
    }
    let noted = Rc::clone(&read);
    let stream: BoxedPayloadStream = Box::pin(payload.inspect(move |part| {
        let mut noted = noted.borrow_mut();
        let room = noted.as_ref().map_or(0, |body| KEPT - body.len());
        match (part, noted.as_mut()) {
            (Ok(bytes), Some(body)) if bytes.len() <= room => body.extend_from_slice(bytes),
            _ => *noted = None,
        }
    }));
    request.set_payload(stream.into());
    read
}

/// Whether Postgres ended this request's change in favour of another.
fn gave_way<B>(answer: &ServiceResponse<B>) -> bool {
    let Some(error) = answer.response().error() else { return false };
    match (error.as_error::<Problem>(), error.as_error::<Turned>()) {
        (Some(problem), _) => problem.gave_way(),
        (_, Some(Turned::Problem(problem))) => problem.gave_way(),
        _ => false,
    }
}
