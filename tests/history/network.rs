//! Faults of a server and of the way to it, the same for every server.

use std::time::Duration;

use super::random::Random;
use super::servers::proxy::Mode;
use super::servers::{MariaDb, Postgres, Proxy};

/// A server that dies and comes back.
pub(crate) trait Server: Sync {
    fn kill(&self);
    fn restart(&self);
    fn pause(&self);
    fn resume(&self);
}

/// How many faults `suffer` knows.
pub(crate) const FAULTS: usize = 8;

/// One fault: of the server, or of the way of one of the processes to it.
pub(crate) async fn suffer(
    server: &impl Server,
    proxies: &[Proxy],
    fault: usize,
    random: &mut Random,
) {
    let time = Duration::from_millis(50 + random.next() % 600);
    let proxy = &proxies[random.below(proxies.len())];
    match fault {
        0 => {
            tokio::task::block_in_place(|| server.kill());
            tokio::time::sleep(time / 4).await;
            tokio::task::block_in_place(|| server.restart());
        }
        1 => {
            server.pause();
            tokio::time::sleep(time).await;
            server.resume();
        }
        2 | 3 => {
            proxy.cut();
            tokio::time::sleep(time / 8).await;
            proxy.cut();
        }
        // What has come so far goes on when it is over.
        4 => mode(proxy, Mode::Hole, time).await,
        5 => mode(proxy, Mode::Mute, time).await,
        6 => mode(proxy, Mode::Delay(Duration::from_millis(1 + random.next() % 40)), time).await,
        // What has come so far never goes on.
        _ => {
            proxy.set(Mode::Mute);
            tokio::time::sleep(time).await;
            proxy.cut();
            proxy.set(Mode::Refuse);
            tokio::time::sleep(time / 4).await;
            proxy.set(Mode::Pass);
        }
    }
}

async fn mode(proxy: &Proxy, mode: Mode, time: Duration) {
    proxy.set(mode);
    tokio::time::sleep(time).await;
    proxy.set(Mode::Pass);
}

impl Server for Postgres {
    fn kill(&self) {
        self.kill();
    }

    fn restart(&self) {
        self.restart();
    }

    fn pause(&self) {
        self.pause();
    }

    fn resume(&self) {
        self.resume();
    }
}

impl Server for MariaDb {
    fn kill(&self) {
        self.kill();
    }

    fn restart(&self) {
        self.restart();
    }

    fn pause(&self) {
        self.pause();
    }

    fn resume(&self) {
        self.resume();
    }
}
