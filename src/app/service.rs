//! The interface to a service manager (systemd): sockets that it opened, readiness, and a watchdog.
//!
//! All of it is optional: without `LISTEN_FDS`, `NOTIFY_SOCKET` and `WATCHDOG_USEC` in the environment, nothing happens.

use std::{env, io, net::TcpListener, time::Duration};

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::App;

/// Sockets that were opened before this process and stay open after it, so that clients wait during a restart instead of being
/// refused.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For switches (`FileDescriptorName=switch`).
    pub switch: Option<TcpListener>,
    /// For people and scripts (`FileDescriptorName=app`).
    pub app: Option<TcpListener>,
}

impl Sockets {
    /// The sockets that this process was given.
    pub fn given() -> io::Result<Self> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self::named(&mut ListenFd::from_env(), &names)
    }

    fn named(given: &mut ListenFd, names: &str) -> io::Result<Self> {
        let mut sockets = Self::default();
        let mut names = names.split(':');
        for at in 0..given.len() {
            let name = names.next().unwrap_or_default();
            let place = match name {
                "switch" => &mut sockets.switch,
                "app" => &mut sockets.app,
                _ => {
                    let said = format!(
                        "the service manager gave a socket named {name:?}: FileDescriptorName= must be switch or app"
                    );
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, said));
                }
            };
            if place.is_some() {
                let said = format!("the service manager gave two sockets named {name:?}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, said));
            }
            *place = given.take_tcp_listener(at)?;
        }
        Ok(sockets)
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

/// Reports that both listeners answer.
pub fn is_ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// Reports that the node is stopping.
pub fn is_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: finishing requests under way")]);
}

/// Reports regularly that the node is alive, as long as this runtime gets its turn and no thread that serves switches has
/// ended. When the reports stop, the service manager restarts the node.
pub async fn keep_alive(app: &App) {
    let Some(patience) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut ticks = tokio::time::interval((patience / 3).max(Duration::from_millis(100)));
    loop {
        ticks.tick().await;
        if app.serves_switches() {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_given_is_nothing_to_take() {
        let sockets = Sockets::named(&mut ListenFd::empty(), "").unwrap();
        assert!(sockets.switch.is_none() && sockets.app.is_none());
    }
}
