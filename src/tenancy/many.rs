//! Changes and deletions of many things of a tenant in one request, for the handlers of each kind.

use actix_web::{
    HttpResponse,
    web::{Bytes, Data},
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{Api, auth::actor::Actor};
use crate::{
    http::{
        bulk::{self, Changes, Deletions, Done, Outcome},
        change::ChangeRequest,
        input,
        problem::Problem,
    },
    model::{error::Result, which::Which},
    node::{apart::apart, changes::Change},
};

/// A request about many things of a tenant.
pub struct Many<'a> {
    pub api: &'a Data<Api>,
    pub actor: &'a Actor,
    pub request: &'a ChangeRequest,
    pub tenant: Uuid,
    pub body: &'a Bytes,
}

impl Many<'_> {
    /// Changes each of them by `one`.
    pub async fn change<P: DeserializeOwned + Send + 'static>(
        self,
        one: impl AsyncFn(&mut Change, (Which, P)) -> Result<Done>,
    ) -> std::result::Result<HttpResponse, Problem> {
        let new: Changes<P> = input::parse_apart(self.body).await?;
        let partial = new.partial;
        let lines = apart(move || new.read()).await??;
        self.run(lines, partial, one).await
    }

    /// Deletes each of them by `one`, which is told whether to detach it first and returns its id. `may_detach`: whether that is allowed.
    pub async fn delete(
        self,
        may_detach: impl FnOnce(bool) -> std::result::Result<(), Problem>,
        one: impl AsyncFn(&mut Change, Which, bool) -> Result<Uuid>,
    ) -> std::result::Result<HttpResponse, Problem> {
        let gone: Deletions = input::parse_apart(self.body).await?;
        let (partial, detach) = (gone.partial, gone.detach);
        may_detach(detach)?;
        let one = async |change: &mut Change, which| Ok((one(change, which, detach).await?, Outcome::Deleted));
        self.run(gone.read()?, partial, one).await
    }

    async fn run<T>(
        self,
        lines: Vec<bulk::Read<T>>,
        partial: bool,
        one: impl AsyncFn(&mut Change, T) -> Result<Done>,
    ) -> std::result::Result<HttpResponse, Problem> {
        let _turn = self.api.turn().await?;
        let work = async |change: &mut Change| {
            change.hold(self.tenant).await?;
            bulk::answer(&bulk::run(change, lines, partial, one).await?)
        };
        self.request.run(self.api, self.actor, self.body, work).await
    }
}
