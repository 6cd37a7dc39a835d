//! The API within this process: the same routes, rules and checks as over the network, without a connection.

use std::rc::Rc;

use actix_service::{IntoServiceFactory as _, Service as _, ServiceFactory as _};
use actix_web::{
    body::{BoxBody, MessageBody as _},
    dev::{AppConfig, ServiceResponse},
    web::{self, Data},
};
use futures_util::future::LocalBoxFuture;

use super::{
    collisions, contract, router,
    status::{Counters, Health},
    timing::Timing,
};
use crate::{
    switch::{control::Control, live::Live},
    tenancy::Api,
};

type Answering = LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, actix_web::Error>>;

/// What a node that runs has for it: what goes on at switches and what is done there, and how the node is.
#[derive(Clone)]
pub struct OfNode {
    pub live: Data<Live>,
    pub control: Data<Control>,
    pub health: Data<Health>,
    pub counters: Data<Counters>,
    pub timing: Data<Timing>,
}

/// The routes of the API, on one thread.
#[derive(Clone)]
pub struct Inside(Rc<dyn Fn(actix_http::Request) -> Answering>);

impl Inside {
    /// `node`: none for a command, which runs beside nodes.
    pub async fn open(api: Data<Api>, node: Option<OfNode>) -> Result<Self, &'static str> {
        let app = actix_web::App::new()
            .app_data(api)
            .configure(|config| {
                if let Some(OfNode { live, control, health, counters, timing }) = node {
                    config.app_data(live).app_data(control).app_data(health).app_data(counters).app_data(timing);
                }
            })
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
