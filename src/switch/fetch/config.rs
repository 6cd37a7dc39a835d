//! Module configuration that Dialplane provides: trusted addresses, queues, menus, conferences, and files that a cluster
//! sets. [`super::documents`] renders it; [`super::sofia`] makes profiles and gateways.
//!
//! A switch reads menus and conferences at each use, so they are kept like any answer about their tenant. It reads the
//! rest when a module loads or is told to reload, so that is made each time.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use uuid::Uuid;

use super::{
    Fetch, Outcome, Reply, Source, config_store,
    documents::{AclConf, CallcenterConf, add_queue, document, time_zones},
    fill::Question,
    key::KeyText,
    render::{RenderError, xml},
    reply,
    request::{Address, ConfigFile},
    sofia,
};
use crate::model::destination::{Config, TargetKind};

/// The same for everybody, as long as this program runs.
static TIME_ZONES: LazyLock<Bytes> = LazyLock::new(|| document(&time_zones()));

impl Fetch {
    pub(super) async fn configuration(
        self: &Arc<Self>,
        file: ConfigFile<'_>,
        cluster: Option<Uuid>,
        fresh: bool,
    ) -> (Reply, Source) {
        match file {
            ConfigFile::Ivr { menu } => self.of_destination(&menu, TargetKind::Ivr, fresh).await,
            ConfigFile::Conference { profile } => self.of_destination(&profile, TargetKind::Conference, fresh).await,
            ConfigFile::Callcenter { queue: Some(queue) } => {
                self.of_destination(&queue, TargetKind::Queue, fresh).await
            }
            ConfigFile::Callcenter { queue: None } => self.made(self.queues(cluster).await),
            ConfigFile::Sofia => self.made(self.sofia(cluster).await),
            ConfigFile::Acl => self.made(self.acl(cluster).await),
            ConfigFile::TimeZones => (Reply::Document(TIME_ZONES.clone()), Source::Memory),
            ConfigFile::Other { name } => match self.of_cluster(cluster, name).await {
                Ok(None) => {
                    self.metrics.not_ours("configuration");
                    (Reply::NotFound, Source::NotOurs)
                }
                Ok(Some(document)) => (Reply::Document(document), Source::Filled),
                Err(error) => self.made(Err(error)),
            },
        }
    }

    fn made(&self, made: Result<Bytes, ConfigError>) -> (Reply, Source) {
        match made {
            Ok(document) => (Reply::Document(document), Source::Filled),
            Err(error) => {
                self.metrics.fill_failed();
                tracing::warn!(%error, "a module's configuration could not be made");
                (Reply::Unavailable, Source::Unavailable)
            }
        }
    }

    async fn of_destination(self: &Arc<Self>, address: &Address<'_>, kind: TargetKind, fresh: bool) -> (Reply, Source) {
        let mut buffer = Uuid::encode_buffer();
        let id = address.id.simple().encode_lower(&mut buffer);
        // The kind is part of the key: a menu that is asked for as a conference is not found.
        let key = KeyText::new(b'C').raw(kind.as_str().as_bytes()).folded(&address.domain).raw(id.as_bytes());
        let Some(key) = key.finish() else { return (Reply::NotFound, Source::Memory) };
        let kept = self.cache.get(&key);
        match &kept {
            // A switch reads a queue when it is told to, which may be before this node has heard of the change.
            Some(entry) if fresh && entry.is_current() && kind != TargetKind::Queue => {
                return (reply(entry), Source::Hit);
            }
            _ if !fresh => return self.stale(kept),
            _ => {}
        }
        let Some(slot) = self.generations.domain(&address.domain) else { return super::unknown_domain(fresh) };
        match self.fill(&key, slot, Question::Config { id: address.id, kind }, kept).await {
            Outcome::Reply(reply, source) => (reply, source),
            Outcome::Leaves(_) => (Reply::Unavailable, Source::Unavailable),
        }
    }

    /// All queues of a cluster's tenants, read when mod_callcenter loads.
    async fn queues(&self, cluster: Option<Uuid>) -> Result<Bytes, ConfigError> {
        let rows = self.readers.read(|db, _| Box::pin(config_store::queues(db, cluster))).await?;
        let mut conf = CallcenterConf { queues: Vec::new(), agents: Vec::new(), tiers: Vec::new() };
        for config_store::QueueRow { domain, row, .. } in &rows {
            if let Config::Queue(queue) = &row.config {
                add_queue(&mut conf, domain, row, queue);
            }
        }
        let document = xml(&conf)?;
        if document.len() > 1024 * 1024 {
            tracing::error!(
                bytes = document.len(),
                "the cluster's queues exceed what a switch takes in one answer (1 MiB)"
            );
        }
        Ok(document)
    }

    async fn acl(&self, cluster: Option<Uuid>) -> Result<Bytes, ConfigError> {
        let callers = self.readers.read(|db, _| Box::pin(config_store::callers(db, cluster))).await?;
        Ok(xml(&AclConf { callers })?)
    }

    /// The cluster's profiles, or else those of `freeswitch-conf`, with the carriers' gateways in the profile `external`.
    async fn sofia(&self, cluster: Option<Uuid>) -> Result<Bytes, ConfigError> {
        let rows = self
            .readers
            .read(|db, _| Box::pin(config_store::carriers(db, config_store::Whose::Cluster(cluster))))
            .await?;
        let own = self.readers.read(|db, _| Box::pin(config_store::cluster_config(db, cluster, "sofia.conf"))).await?;
        Ok(sofia::document_of(own.as_deref().unwrap_or(&sofia::PROFILES), rows, &self.keyring)?)
    }

    /// A file that the cluster sets; `None` if it doesn't.
    async fn of_cluster(&self, cluster: Option<Uuid>, name: &'static str) -> Result<Option<Bytes>, ConfigError> {
        let text = self.readers.read(|db, _| Box::pin(config_store::cluster_config(db, cluster, name))).await?;
        Ok(text.map(|text| document(&text)))
    }
}

#[derive(Debug, thiserror::Error)]
enum ConfigError {
    #[error(transparent)]
    Read(#[from] super::readers::ReadError),
    #[error(transparent)]
    Render(#[from] RenderError),
}
