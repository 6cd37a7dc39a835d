//! Where recordings' contents are kept: a folder, or a bucket. Contents come here sealed, and this knows nothing of keys.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    ops::Range,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::{
    bucket::{Bucket, Upload},
    sealed::Whose,
};

/// Which store has a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Store {
    Folder,
    Bucket,
}

/// The stores of this node. With a bucket, new contents go there; those in the folder stay readable.
#[derive(Debug, Clone)]
pub struct Vault {
    folder: PathBuf,
    bucket: Option<Bucket>,
}

/// A content that is being written. What is not finished is never seen by readers; [`Vault::remove`] removes it. Of an upload to a bucket that
/// was cut off, the store keeps parts until it removes them by itself.
pub enum Writing {
    File { file: File, part: PathBuf, whole: PathBuf },
    Upload(Upload),
}

/// Runs something that waits for a disk on a thread that serves nobody.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Makes what was done in a folder outlast a crash.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn gone_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

impl Vault {
    #[must_use]
    pub fn new(folder: PathBuf, bucket: Option<Bucket>) -> Self {
        Self { folder, bucket }
    }

    /// Where new contents go.
    #[must_use]
    pub fn store(&self) -> Store {
        if self.bucket.is_some() { Store::Bucket } else { Store::Folder }
    }

    fn bucket(&self) -> io::Result<&Bucket> {
        self.bucket.as_ref().ok_or_else(|| io::Error::other("it is in a bucket, and this node's settings name none"))
    }

    /// A content that is written, and one whose writing has not ended.
    fn paths(&self, Whose { tenant, id }: Whose) -> (PathBuf, PathBuf) {
        let folder = self.folder.join(tenant.simple().to_string());
        let file = |end: &str| folder.join(format!("{}.{end}", Uuid::simple(id)));
        (file("sealed"), file("part"))
    }

    /// Begins to write a content.
    pub async fn begin(&self, whose: Whose) -> io::Result<Writing> {
        if let Some(bucket) = &self.bucket {
            return Ok(Writing::Upload(bucket.begin(&name(whose))));
        }
        let ((whole, part), top) = (self.paths(whose), self.folder.clone());
        blocking(move || {
            let folder = part.parent().unwrap_or(&top);
            if !folder.exists() {
                make_private(folder)?;
                sync_folder(&top)?;
            }
            let file = File::create_new(&part)?;
            Ok(Writing::File { file, part, whole })
        })
        .await
    }

    /// A part of a content. It must be there whole.
    pub async fn read(&self, store: Store, whose: Whose, part: Range<u64>) -> io::Result<Vec<u8>> {
        let (path, _) = self.paths(whose);
        match store {
            Store::Folder => {
                blocking(move || {
                    let mut file = File::open(path)?;
                    file.seek(SeekFrom::Start(part.start))?;
                    let length = usize::try_from(part.end - part.start).map_err(io::Error::other)?;
                    let mut bytes = vec![0; length];
                    file.read_exact(&mut bytes)?;
                    Ok(bytes)
                })
                .await
            }
            Store::Bucket => self.bucket()?.read(&name(whose), part).await,
        }
    }

    /// Removes a content, also one whose writing has not ended. It is no fault if it isn't there.
    pub async fn remove(&self, store: Store, whose: Whose) -> io::Result<()> {
        let (whole, part) = self.paths(whose);
        match store {
            Store::Folder => {
                blocking(move || {
                    gone_is_fine(fs::remove_file(&part))?;
                    gone_is_fine(fs::remove_file(&whole))
                })
                .await
            }
            Store::Bucket => self.bucket()?.remove(&name(whose)).await,
        }
    }
}

/// What a content is called in a bucket.
fn name(Whose { tenant, id }: Whose) -> String {
    format!("{}/{}.sealed", tenant.simple(), id.simple())
}

/// Makes a folder that nobody else may look into.
fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

impl Writing {
    /// Writes the next bytes.
    pub async fn write(self, bytes: Vec<u8>) -> io::Result<Self> {
        match self {
            Self::File { mut file, part, whole } => {
                blocking(move || {
                    file.write_all(&bytes)?;
                    Ok(Self::File { file, part, whole })
                })
                .await
            }
            Self::Upload(mut upload) => {
                upload.write(bytes).await?;
                Ok(Self::Upload(upload))
            }
        }
    }

    /// Ends the content. When this returns, it outlasts a crash.
    pub async fn finish(self) -> io::Result<()> {
        match self {
            Self::File { file, part, whole } => {
                blocking(move || {
                    file.sync_all()?;
                    fs::rename(&part, &whole)?;
                    sync_folder(whole.parent().unwrap_or(&whole))
                })
                .await
            }
            Self::Upload(upload) => upload.finish().await,
        }
    }
}
