//! A bucket of an S3-compatible store, which all nodes reach.
//!
//! The requests are made with the HTTP client that webhooks use, so nothing else speaks TLS or HTTP/2 here.

use std::{io, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig,
    aws::AmazonS3Builder,
    buffered::BufWriter,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    },
    path::Path,
};

/// The smallest part that S3 takes of an upload in parts (but for the last). What is smaller is sent in one request.
const PART: usize = 5 << 20;
/// How long one request may take: a part of an upload over a slow line.
const PATIENCE: Duration = Duration::from_mins(1);
/// A sender tries again by itself, so a request is repeated only over a hiccup of the store.
const RETRIES: RetryConfig = RetryConfig {
    backoff: object_store::BackoffConfig {
        init_backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(2),
        base: 2.0,
    },
    max_retries: 3,
    retry_timeout: Duration::from_secs(30),
};

/// Where a bucket is, and with what it is opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Where {
    /// `s3://BUCKET` or `s3://BUCKET/FOLDER`.
    pub url: String,
    /// The store's URL, unless it is Amazon's.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// The access key's id and its secret. `None`: those of the environment or of the machine's role, as Amazon's own tools find them.
    pub key: Option<(String, String)>,
}

#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

impl Bucket {
    /// # Errors
    ///
    /// If the URL is none of a bucket, or something needed is missing. Nothing is asked of the store.
    pub fn open(place: &Where) -> io::Result<Self> {
        let rest = place.url.strip_prefix("s3://").unwrap_or_default();
        let (name, folder) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the bucket is not s3://BUCKET or s3://BUCKET/FOLDER",
            ));
        }
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(name);
        if let Some(endpoint) = &place.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        if let Some(region) = &place.region {
            builder = builder.with_region(region);
        }
        if let Some((id, secret)) = &place.key {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        }
        let store = builder
            .with_retry(RETRIES)
            .with_disable_bulk_delete(true)
            .with_http_connector(Connector)
            .build()
            .map_err(to_io)?;
        let folder = Path::parse(folder.trim_end_matches('/')).map_err(io::Error::other)?;
        Ok(Self { store: Arc::new(store), folder })
    }

    fn path(&self, name: &str) -> Path {
        name.split('/').fold(self.folder.clone(), Path::join)
    }

    /// Begins to write an object. It is there once [`Upload::finish`] has returned, and not before.
    pub fn begin(&self, name: &str) -> Upload {
        let writer = BufWriter::with_capacity(Arc::clone(&self.store), self.path(name), PART);
        Upload { writer: writer.with_max_concurrency(1) }
    }

    /// A part of an object.
    pub async fn read(&self, name: &str, part: Range<u64>) -> io::Result<Vec<u8>> {
        let wanted = part.end - part.start;
        let bytes = self.store.get_range(&self.path(name), part).await.map_err(to_io)?;
        // A store answers with less where the object ends earlier.
        if bytes.len() as u64 == wanted { Ok(bytes.into()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Removes an object. It is no fault if it isn't there.
    pub async fn remove(&self, name: &str) -> io::Result<()> {
        match self.store.delete(&self.path(name)).await.map_err(to_io) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }
}

/// An object that is being written.
pub struct Upload {
    writer: BufWriter,
}

impl Upload {
    pub async fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.writer.put(bytes.into()).await.map_err(to_io)
    }

    pub async fn finish(mut self) -> io::Result<()> {
        tokio::io::AsyncWriteExt::shutdown(&mut self.writer).await
    }
}

fn to_io(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Makes the client with which the store is asked.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("Dialplane/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .timeout(PATIENCE)
            .build();
        let client = client.map_err(|error| object_store::Error::Generic { store: "S3", source: Box::new(error) })?;
        Ok(HttpClient::new(Client(client)))
    }
}

#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let url = parts.uri.to_string().parse().map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let mut request = reqwest::Request::new(parts.method, url);
        *request.headers_mut() = parts.headers;
        *request.body_mut() = Some(reqwest::Body::wrap(body));
        let answer = self.0.execute(request).await.map_err(failed)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.map_err(failed)?;
        let mut response = HttpResponse::new(HttpResponseBody::from(body));
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        Ok(response)
    }
}

/// What is safe to repeat is repeated: contents have names of their own, and are the same each time.
fn failed(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else {
        HttpErrorKind::Interrupted
    };
    // The URL stands in the store's error already.
    HttpError::new(kind, error.without_url())
}
