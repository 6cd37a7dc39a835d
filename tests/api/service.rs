//! A node as a systemd service: it uses the sockets that it is given, and says when it is ready and that it is alive.

use std::{
    net::TcpListener,
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use uuid::Uuid;

use crate::harness::{Database, send};

struct Service {
    child: Child,
    folder: PathBuf,
    notices: UnixDatagram,
}

impl Service {
    /// The sockets are descriptors 3 and 4 (`sd_listen_fds(3)`). A shell puts them there, because it knows its own process id.
    fn start(database: &Database, switch: &TcpListener, app: &TcpListener, names: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dialplane-service-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).unwrap();
        let notices = UnixDatagram::bind(folder.join("notify")).unwrap();
        notices.set_read_timeout(Some(Duration::from_mins(2))).unwrap();
        let socket = database.options.get_socket().unwrap().display().to_string().replace('/', "%2F");
        let url = format!("postgres://dialplane@{socket}/{}", database.options.get_database().unwrap());
        let given = |listener: &TcpListener| Stdio::from(OwnedFd::from(listener.try_clone().unwrap()));
        let child = Command::new("sh")
            .args(["-c", r#"LISTEN_PID=$$ exec "$0" serve --data-dir "$1" 3<&0 4>&1 0</dev/null 1>&2"#])
            .arg(env!("CARGO_BIN_EXE_dialplane"))
            .arg(&folder)
            .env("DATABASE_URL", url)
            .env("DIALPLANE_KEY_FILE", std::env::temp_dir().join("dialplane-test.key"))
            // Nobody can listen on this address, so the node must use the given sockets.
            .env("DIALPLANE_SWITCH_LISTEN", "192.0.2.1:1")
            .env("DIALPLANE_APP_LISTEN", "192.0.2.1:1")
            .env("LISTEN_FDS", "2")
            .env("LISTEN_FDNAMES", names)
            .env("NOTIFY_SOCKET", folder.join("notify"))
            .env("WATCHDOG_USEC", "600000")
            .stdin(given(switch))
            .stdout(given(app))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, folder, notices }
    }

    /// The next notification that has the line `wanted`.
    fn wait_for(&self, wanted: &str) {
        let mut buffer = [0; 1024];
        loop {
            let length = self.notices.recv(&mut buffer).unwrap();
            let said = String::from_utf8_lossy(&buffer[..length]);
            if said.lines().any(|line| line == wanted) {
                return;
            }
        }
    }

    fn end(&mut self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[actix_web::test]
async fn on_given_sockets_nobody_is_refused_while_a_node_restarts() {
    let database = Database::new().await;
    let (switch, app) = (listen(), listen());
    let mut service = Service::start(&database, &switch, &app, "switch:app");
    service.wait_for("READY=1");
    let app_address = app.local_addr().unwrap();
    assert_eq!(send(app_address, "GET", "/healthz", &[], b"").await.status, 200);
    let unknown = send(switch.local_addr().unwrap(), "POST", "/fs/xml", &[], b"section=directory").await;
    assert_eq!(unknown.status, 401, "the switch listener serves: {}", unknown.text());
    service.wait_for("WATCHDOG=1");
    service.wait_for("WATCHDOG=1");
    service.end();
    service.wait_for("STOPPING=1");
    assert!(service.child.wait().unwrap().success());

    // No node serves now, so connections wait in the socket's queue.
    let early = actix_web::rt::spawn(send_owned(app_address));
    let service = Service::start(&database, &switch, &app, "switch:app");
    assert_eq!(early.await.unwrap(), 200);
    service.wait_for("READY=1");
}

async fn send_owned(address: std::net::SocketAddr) -> u16 {
    send(address, "GET", "/healthz", &[], b"").await.status
}

#[actix_web::test]
async fn a_socket_whose_name_says_nothing_is_refused_by_name() {
    let database = Database::new().await;
    let (switch, app) = (listen(), listen());
    let service = Service::start(&database, &switch, &app, "switch:web");
    let said = said_by(service);
    assert!(said.contains("\"web\"") && said.contains("FileDescriptorName"), "{said}");
}

fn said_by(mut service: Service) -> String {
    let mut said = String::new();
    std::io::Read::read_to_string(&mut service.child.stderr.take().unwrap(), &mut said).unwrap();
    assert!(!service.child.wait().unwrap().success());
    said
}

#[test]
fn the_packaged_settings_are_read_and_each_commented_line_is_a_setting() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("script/package-files/dialplane.toml");
    dialplane::app::settings::Settings::read(Some(&file)).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(setting) if setting.split_once(" = ").is_some_and(|(name, _)| is_name(name)) => setting,
        _ => line,
    });
    let whole = lines.collect::<Vec<_>>().join("\n");
    assert!(whole.contains("\nsmtp = ") && whole.contains("\ndatabase_url = "), "{whole}");
    let folder = std::env::temp_dir().join(format!("dialplane-packaged-{}.toml", Uuid::now_v7().simple()));
    std::fs::write(&folder, whole).unwrap();
    let read = dialplane::app::settings::Settings::read(Some(&folder));
    std::fs::remove_file(&folder).unwrap();
    read.unwrap();
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
