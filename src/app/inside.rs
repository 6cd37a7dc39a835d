//! The API within this process: the same routes, rules and checks as over the network, without a connection.

use std::rc::Rc;

use actix_service::{IntoServiceFactory as _, Service as _, ServiceFactory as _};
use actix_web::{
    body::{BoxBody, MessageBody as _},
    dev::{AppConfig, ServiceResponse},
    web::{self, Data},
};
use futures_util::future::LocalBoxFuture;

use super::{collisions, contract, router};
use crate::tenancy::Api;

type Answering = LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, actix_web::Error>>;

/// The routes of the API, on one thread.
#[derive(Clone)]
pub struct Inside(Rc<dyn Fn(actix_http::Request) -> Answering>);

impl Inside {
    pub async fn open(api: Data<Api>) -> Result<Self, &'static str> {
        let app = actix_web::App::new()
            .app_data(api)
            .configure(router::api)
            .configure(router::error_handlers)
            .default_service(web::to(contract::nothing))
            .wrap(collisions::Again);
        let service = app.into_factory().new_service(AppConfig::default()).await;
        let service = service.map_err(|()| "the API can't be started in this process")?;
        Ok(Self(Rc::new(move |request| {
            let answer = service.call(request);
            Box::pin(async move { Ok(answer.await?.map_body(|_, body| body.boxed())) })
        })))
    }

    pub async fn call(&self, request: actix_http::Request) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        (self.0)(request).await
    }
}
