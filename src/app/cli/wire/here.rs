//! The API in this process, on the database that the settings name: no node has to run. The operator needs no key.

use std::sync::Arc;

use actix_http::Payload;
use actix_web::{
    HttpMessage as _, body,
    http::{
        Method, Uri,
        header::{CONTENT_TYPE, HeaderValue},
    },
    web::{Bytes, Data},
};
use anyhow::Context as _;
use arc_swap::ArcSwap;

use super::Call;
use crate::{
    app::{
        cli::local::{Local, author},
        inside::Inside,
        settings::Settings,
    },
    http::turns::Turns,
    tenancy::{
        Api,
        auth::{Auth, access::Signer, actor::Operator, password::Passwords},
    },
};

/// Uploads at once: there is only one command.
const TURNS: u32 = 4;

pub struct Here {
    local: Local,
    settings: Settings,
    routes: Inside,
}

impl Here {
    pub async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let local = Local::open(settings).await?;
        let routes = match routes(&local, settings).await {
            Ok(routes) => routes,
            Err(error) => {
                local.close().await?;
                return Err(error);
            }
        };
        Ok(Self { local, settings: settings.clone(), routes })
    }

    pub fn place(&self) -> &str {
        &self.local.place
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The status and the body of the answer.
    pub async fn call(&self, call: &Call) -> anyhow::Result<(u16, Vec<u8>)> {
        let (body, kind) = call.content()?.unwrap_or((Vec::new(), "application/json"));
        let mut request = actix_http::Request::with_payload(Payload::from(Bytes::from(body)));
        let head = request.head_mut();
        head.method = Method::from_bytes(call.method.as_bytes())?;
        head.uri = call.path.parse::<Uri>().context("the path of a request")?;
        head.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        request.extensions_mut().insert(Operator(author().name));
        let answer = self.routes.call(request).await.map_err(|error| anyhow::anyhow!("{error}"))?;
        let status = answer.status().as_u16();
        // What isn't said as a body, such as a problem, is turned into one here.
        let body = body::to_bytes(answer.into_body()).await.map_err(|_| anyhow::anyhow!("no body"))?;
        Ok((status, body.to_vec()))
    }

    pub async fn close(self) -> anyhow::Result<()> {
        drop(self.routes);
        self.local.close().await
    }
}

async fn routes(local: &Local, settings: &Settings) -> anyhow::Result<Inside> {
    let signer = Signer::open(local.changes.pool(), local.changes.keyring()).await?;
    let auth = Auth {
        passwords: Passwords::default(),
        signer: Arc::new(signer),
        remembered: Arc::default(),
        public_url: settings.public_url().into(),
    };
    let api = Data::new(Api {
        changes: local.changes.clone(),
        auth,
        switch_checks: settings.switch_checks(&settings.switch_url(settings.switch_listen)).into(),
        switch_url_is_missing: settings.switch_url_is_missing(),
        switch_url: settings.switch_url(settings.switch_listen).into(),
        proxies: Arc::new(ArcSwap::default()),
        turns: Turns::new(TURNS),
        retention: settings.retention(),
    });
    Inside::open(api, None).await.map_err(anyhow::Error::msg)
}
