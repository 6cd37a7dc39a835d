//! Finding the system's own Postgres.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The folder with `initdb`, `postgres` and `pg_ctl` of one version.
#[derive(Debug, Clone)]
pub struct Binaries {
    folder: PathBuf,
}

/// Where distributions put them: a folder per major version, which is not on PATH.
const DISTRIBUTIONS: [(&str, &str); 3] =
    [("/usr/lib/postgresql", "bin"), ("/usr/pgsql", "bin"), ("/opt/homebrew/opt", "bin")];

impl Binaries {
    /// The version that created the cluster, if there is one; else the first on PATH, else the newest installed.
    #[must_use]
    pub fn find(cluster: &Path) -> Option<Self> {
        let wanted = fs::read_to_string(cluster.join("PG_VERSION")).ok();
        let wanted = wanted.as_deref().map(str::trim);
        let mut installed = installed();
        if let Some(version) = wanted
            && let Some((_, folder)) = installed.iter().find(|(installed, _)| installed == version)
        {
            return Some(Self { folder: folder.clone() });
        }
        if let Some(folder) = on_path() {
            return Some(Self { folder });
        }
        installed.sort_by_key(|(version, _)| version.parse::<u32>().unwrap_or_default());
        installed.pop().map(|(_, folder)| Self { folder })
    }

    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Where client programs may be: on PATH first, then the newest version of the distribution's.
#[must_use]
pub fn client_folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut others = versions(|_| true);
    others.sort_by_key(|(version, _)| std::cmp::Reverse(version.parse::<u32>().unwrap_or_default()));
    env::split_paths(&path).chain(others.into_iter().map(|(_, folder)| folder)).collect()
}

fn is_whole(folder: &Path) -> bool {
    ["initdb", "postgres", "pg_ctl"].iter().all(|name| folder.join(name).is_file())
}

fn on_path() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).find(|folder| is_whole(folder))
}

fn installed() -> Vec<(String, PathBuf)> {
    versions(is_whole)
}

fn versions(fits: fn(&Path) -> bool) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for (base, bin) in DISTRIBUTIONS {
        for entry in fs::read_dir(base).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = name.trim_start_matches("postgresql@").trim_start_matches("pgsql-").to_owned();
            let folder = entry.path().join(bin);
            if version.starts_with(|c: char| c.is_ascii_digit()) && fits(&folder) {
                found.push((version, folder));
            }
        }
    }
    found
}
