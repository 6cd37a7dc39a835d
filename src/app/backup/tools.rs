//! Postgres's own programs: `pg_dump`, `pg_restore` and `psql`, of the server's version or a newer one.

use std::{
    io::{self, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use percent_encoding::percent_decode_str;
use sqlx::postgres::PgConnectOptions;

use super::{BackupError, Progress};
use crate::app::embedded::client_folders;

/// How libpq finds the database. The password is in the environment, because everybody on the machine can read arguments.
#[derive(Debug, Clone)]
pub struct Place {
    database: String,
    environment: Vec<(&'static str, String)>,
}

impl Place {
    /// The private cluster, on its socket.
    #[must_use]
    pub fn private(options: &PgConnectOptions) -> Self {
        let socket = options.get_socket().map(|folder| folder.display().to_string()).unwrap_or_default();
        let environment = vec![
            ("PGHOST", socket),
            ("PGPORT", options.get_port().to_string()),
            ("PGUSER", options.get_username().to_owned()),
        ];
        Self { database: options.get_database().unwrap_or_default().to_owned(), environment }
    }

    /// The database of a URL.
    #[must_use]
    pub fn of_url(url: &str) -> Self {
        let (mut url, mut environment) = (url.to_owned(), Vec::new());
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        if let Some(begin) = url.find("://").map(|at| at + 3) {
            let end = url[begin..].find(['/', '?']).map_or(url.len(), |at| begin + at);
            let user = url[begin..end].rfind('@').map(|at| begin + at);
            if let Some(user) = user
                && let Some(colon) = url[begin..user].find(':').map(|at| begin + at)
            {
                environment.push(("PGPASSWORD", decoded(&url[colon + 1..user])));
                url.replace_range(colon..user, "");
            }
        }
        if let Some((base, query)) = url.clone().split_once('?') {
            let mut kept = Vec::new();
            for pair in query.split('&') {
                match pair.split_once('=') {
                    Some(("password", password)) => environment.push(("PGPASSWORD", decoded(password))),
                    // Only sqlx knows this, and libpq refuses unknown parameters.
                    Some(("statement-cache-capacity", _)) => {}
                    Some((name, _)) if name.starts_with("options[") => {}
                    Some(("ssl-mode", mode)) => kept.push(format!("sslmode={mode}")),
                    _ => kept.push(pair.to_owned()),
                }
            }
            url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
        }
        Self { database: url, environment }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg("--dbname").arg(&self.database).arg("--no-password").envs(self.environment.iter().cloned());
        command.env("PGAPPNAME", "dialplane").stderr(Stdio::piped());
        command
    }
}

/// The programs of one folder.
pub struct Tools(PathBuf);

impl Tools {
    /// The programs for a server of this major version.
    pub fn for_server(version: u32) -> Result<Self, BackupError> {
        let all = ["pg_dump", "pg_restore", "psql"];
        let fitting = client_folders().into_iter().find(|folder| {
            all.iter().all(|name| folder.join(name).is_file()) && major(&folder.join("pg_dump")) >= Some(version)
        });
        fitting.map(Self).ok_or(BackupError::NoTool { program: "pg_dump", version })
    }

    /// Dumps a snapshot, which `take` reads.
    pub fn dump(
        &self,
        place: &Place,
        snapshot: &str,
        take: impl FnOnce(&mut dyn Read) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        const PROGRAM: &str = "pg_dump";
        let mut command = place.command(&self.0.join(PROGRAM));
        command.args(["--format=custom", "--no-owner", "--no-tablespaces", "--no-publications", "--no-subscriptions"]);
        command.arg("--encoding=UTF8").arg(format!("--snapshot={snapshot}"));
        let mut running = Running::start(PROGRAM, command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let mut output = running.child.stdout.take().ok_or_else(|| lost(PROGRAM))?;
        let taken = take(&mut output);
        drop(output);
        let ended = running.end();
        // If the file could not be written, the program only lost its reader.
        taken?;
        ended
    }

    /// Runs the script of a dump between two others, in the transaction that `before` begins and `after` commits.
    pub fn restore(
        &self,
        place: &Place,
        mut dump: impl Read + Send,
        bytes: u64,
        before: &str,
        after: &str,
        progress: Progress<'_>,
    ) -> Result<(), BackupError> {
        const READER: &str = "pg_restore";
        const WRITER: &str = "psql";
        let mut command = place.command(&self.0.join(WRITER));
        command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", "--file=-"]);
        let mut writer = Running::start(WRITER, command.stdin(Stdio::piped()).stdout(Stdio::null()))?;
        let mut command = Command::new(self.0.join(READER));
        command.args(["--no-owner", "--file=-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut reader = Running::start(READER, &mut command)?;
        let mut into_reader = reader.child.stdin.take().ok_or_else(|| lost(READER))?;
        let mut script = reader.child.stdout.take().ok_or_else(|| lost(READER))?;
        let mut into_writer = writer.child.stdin.take().ok_or_else(|| lost(WRITER))?;
        let fed = thread::scope(|scope| {
            let feeder = scope.spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                let mut done = 0;
                loop {
                    let read = dump.read(&mut buffer)?;
                    if read == 0 {
                        return Ok::<_, io::Error>(());
                    }
                    into_reader.write_all(&buffer[..read])?;
                    done += read as u64;
                    progress(done, Some(bytes));
                }
            });
            let copied =
                into_writer.write_all(before.as_bytes()).and_then(|()| io::copy(&mut script, &mut into_writer));
            drop(script);
            // A program that stopped reading has said why on its standard error.
            let fed = feeder.join().unwrap_or_else(|_| Err(io::Error::other("the thread ended")));
            copied.and(fed)
        });
        // The commit is the last line of all: a script that was cut off is rolled back.
        let read = reader.end();
        if read.is_ok() && fed.is_ok() {
            let _ = into_writer.write_all(after.as_bytes());
        }
        drop(into_writer);
        // The server's error comes first. That the others could no longer write only follows from it.
        writer.end()?;
        read?;
        fed.map_err(|error| BackupError::Tool { program: WRITER, output: error.to_string() })
    }
}

fn lost(program: &'static str) -> BackupError {
    BackupError::Tool { program, output: "it has no input or output".into() }
}

fn major(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // pg_dump (PostgreSQL) 17.5 (Debian 17.5-1)
    let version = text.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A running program, and its output so far.
struct Running {
    program: &'static str,
    child: Child,
    said: thread::JoinHandle<String>,
}

impl Running {
    fn start(program: &'static str, command: &mut Command) -> Result<Self, BackupError> {
        let failed = |error: io::Error| BackupError::Tool { program, output: error.to_string() };
        let mut child = command.spawn().map_err(failed)?;
        let mut errors = child.stderr.take().ok_or_else(|| lost(program))?;
        let said = thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = errors.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).trim().to_owned()
        });
        Ok(Self { program, child, said })
    }

    fn end(mut self) -> Result<(), BackupError> {
        let program = self.program;
        let status = self.child.wait().map_err(|error| BackupError::Tool { program, output: error.to_string() })?;
        let said = self.said.join().unwrap_or_default();
        if status.success() { Ok(()) } else { Err(BackupError::Tool { program, output: said }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_in_no_argument() {
        for (url, database, password) in [
            (
                "postgres://u:p%40w@host:5432/db?sslmode=require",
                "postgres://u@host:5432/db?sslmode=require",
                Some("p@w"),
            ),
            ("postgresql://u@%2Frun%2Fpg/db", "postgresql://u@%2Frun%2Fpg/db", None),
            ("postgres://h/db?password=x&statement-cache-capacity=0&options[a]=b", "postgres://h/db", Some("x")),
            ("postgres://u:a:b@[::1]/db", "postgres://u@[::1]/db", Some("a:b")),
        ] {
            let place = Place::of_url(url);
            assert_eq!(place.database, database);
            assert_eq!(place.environment.first().map(|(_, value)| value.as_str()), password, "{url}");
        }
    }
}
