//! What a service manager (systemd) gives a node and hears from it: sockets it listens on already, readiness, a watchdog.
//!
//! All of it is optional: without `LISTEN_FDS`, `NOTIFY_SOCKET` and `WATCHDOG_USEC` in the environment nothing happens.

use std::{env, io, net::TcpListener, time::Duration};

use listenfd::ListenFd;
use sd_notify::NotifyState;

use super::App;

/// Sockets that were opened before this process, and stay open after it: who connects while a node restarts waits instead of being
/// refused.
#[derive(Debug, Default)]
pub struct Sockets {
    /// For switches (`FileDescriptorName=switch`).
    pub switch: Option<TcpListener>,
    /// For people and scripts (`FileDescriptorName=app`).
    pub app: Option<TcpListener>,
}

impl Sockets {
    /// Those that this process was given.
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
                    let said = format!("a socket named {name:?} was given: FileDescriptorName= must be switch or app");
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, said));
                }
            };
            if place.is_some() {
                let said = format!("two sockets named {name:?} were given");
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

/// Both listeners answer.
pub fn is_ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

/// What is under way ends; nothing new begins.
pub fn is_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: what is under way ends")]);
}

/// Says again and again that the node is alive, for as long as it is: that this runtime has its turn, and that no thread which serves
/// switches has ended. A node that says it no more is started again by the service manager.
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
