//! The folders of a private cluster, and who owns them. Postgres refuses to run as root: then another user runs it.

use std::{
    fs::{self, DirBuilder, Permissions},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown},
    path::{Path, PathBuf},
};

use nix::unistd::{User, geteuid};

use super::ClusterError;

/// The user who runs Postgres when we are root.
#[derive(Debug, Clone)]
pub struct Owner {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    /// `None` if we are not root, and run it ourselves.
    pub fn choose() -> Result<Option<Self>, ClusterError> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        let known = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
        let user = known.ok_or(ClusterError::NoUser)?;
        Ok(Some(Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
    }
}

#[derive(Debug)]
pub struct Directories {
    pub data: PathBuf,
    pub cluster: PathBuf,
    pub socket: PathBuf,
    pub owner: Option<Owner>,
}

/// `sun_path` has 108 bytes (unix(7)), of which the socket's own name takes 15.
const LONGEST_SOCKET_FOLDER: usize = 90;

impl Directories {
    pub fn prepare(data: &Path, owner: Option<Owner>) -> Result<Self, ClusterError> {
        let failed = |source| ClusterError::File { path: data.to_owned(), source };
        fs::create_dir_all(data).map_err(failed)?;
        let data = data.canonicalize().map_err(failed)?;
        let mut home = data.clone();
        if let Some(owner) = &owner {
            // The other user passes through, and sees no names.
            let mode = fs::metadata(&data).map_err(failed)?.permissions().mode();
            fs::set_permissions(&data, Permissions::from_mode(mode | 0o011)).map_err(failed)?;
            if !reachable(&data, owner) {
                home = home_elsewhere(&data, owner)?;
            }
        }
        let directories = Self::at(&home, data, owner);
        directories.make_private(&directories.socket)?;
        Ok(directories)
    }

    /// The folders of an existing cluster. Creates nothing.
    pub fn find(data: &Path, owner: Option<Owner>) -> Result<Option<Self>, ClusterError> {
        let data = match data.canonicalize() {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(data, error)),
        };
        let elsewhere = fs::read_to_string(data.join(NOTE)).ok().map(|name| Path::new(HOMES).join(name.trim()));
        for home in std::iter::once(data.clone()).chain(elsewhere) {
            let made = home.join("postgres").join("PG_VERSION");
            if made.try_exists().map_err(|error| unreadable(&made, error))? {
                return Ok(Some(Self::at(&home, data, owner)));
            }
        }
        Ok(None)
    }

    fn at(home: &Path, data: PathBuf, owner: Option<Owner>) -> Self {
        let within = home.join("run");
        let socket = if within.as_os_str().len() <= LONGEST_SOCKET_FOLDER { within } else { short_folder(home) };
        Self { cluster: home.join("postgres"), data, socket, owner }
    }

    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.data.join("postgres.log")
    }

    /// Creates a folder that only the cluster's user may enter, or checks that an existing one is.
    pub fn make_private(&self, path: &Path) -> Result<(), ClusterError> {
        let failed = |source| ClusterError::File { path: path.to_owned(), source };
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => match &self.owner {
                Some(owner) => chown(path, Some(owner.uid), Some(owner.gid)).map_err(failed),
                None => Ok(()),
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let found = fs::symlink_metadata(path).map_err(failed)?;
                let uid = self.owner.as_ref().map_or_else(|| geteuid().as_raw(), |owner| owner.uid);
                let private = found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0;
                if private { Ok(()) } else { Err(ClusterError::Unsafe(path.to_owned())) }
            }
            Err(error) => Err(failed(error)),
        }
    }
}

/// A folder for the socket if the cluster's path is too long for it.
fn short_folder(home: &Path) -> PathBuf {
    let mut hash = DefaultHasher::new();
    home.hash(&mut hash);
    std::env::temp_dir().join(format!("dialplane-{}-{:016x}", geteuid(), hash.finish()))
}

/// Where a cluster lives if the other user can't enter the data directory, such as one below /root.
const HOMES: &str = "/var/lib/dialplane";

/// The file in the data directory that says where such a cluster is.
const NOTE: &str = "cluster";

/// The place of such a cluster. The data directory names it, so that it is found again, and abandoned when that is removed.
fn home_elsewhere(data: &Path, owner: &Owner) -> Result<PathBuf, ClusterError> {
    let note = data.join(NOTE);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| ClusterError::File { path, source }
    };
    let name = if let Ok(name) = fs::read_to_string(&note) {
        name.trim().to_owned()
    } else {
        let name = uuid::Uuid::now_v7().to_string();
        fs::write(&note, &name).map_err(failed(&note))?;
        name
    };
    let home = Path::new(HOMES).join(name);
    fs::create_dir_all(&home).map_err(failed(&home))?;
    if !reachable(&home, owner) {
        return Err(ClusterError::Unreachable { path: home, user: owner.name.clone() });
    }
    tracing::info!(home = %home.display(), "the user who runs Postgres can't enter the data directory: its cluster is kept elsewhere");
    Ok(home)
}

fn unreadable(path: &Path, source: io::Error) -> ClusterError {
    if source.kind() == io::ErrorKind::PermissionDenied {
        return ClusterError::Denied(path.to_owned());
    }
    ClusterError::File { path: path.to_owned(), source }
}

fn reachable(folder: &Path, owner: &Owner) -> bool {
    folder.ancestors().all(|folder| {
        fs::metadata(folder)
            .is_ok_and(|found| found.mode() & 0o001 != 0 || (found.uid() == owner.uid && found.mode() & 0o100 != 0))
    })
}
