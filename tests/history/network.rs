//! Faults of a server and of the way to it, the same for every server.

use std::time::Duration;

use super::random::Random;
use super::servers::Proxy;
use super::servers::mortal::Mortal;
use super::servers::proxy::Mode;

/// How many faults `suffer` knows.
pub(crate) const FAULTS: usize = 8;

/// One fault: of the server, or of the way of one of the processes to it.
pub(crate) async fn suffer(
    server: &impl Mortal,
    proxies: &[Proxy],
    fault: usize,
    random: &mut Random,
) -> &'static str {
    let time = Duration::from_millis(50 + random.next() % 600);
    let proxy = &proxies[random.below(proxies.len())];
    match fault {
        0 => {
            tokio::task::block_in_place(|| server.kill());
            tokio::time::sleep(time / 4).await;
            tokio::task::block_in_place(|| server.restart());
            "the server was killed and started again"
        }
        1 => {
            server.pause();
            tokio::time::sleep(time).await;
            server.resume();
            "the server was stopped for a while"
        }
        2 | 3 => {
            proxy.cut();
            tokio::time::sleep(time / 8).await;
            proxy.cut();
            "connections were cut"
        }
        // What has come so far goes on when it is over.
        4 => {
            hold(proxy, Mode::Hole, time).await;
            "nothing went through"
        }
        5 => {
            hold(proxy, Mode::Mute, time).await;
            "no answer came through"
        }
        6 => {
            let delay = Duration::from_millis(1 + random.next() % 40);
            hold(proxy, Mode::Delay(delay), time).await;
            "all came late"
        }
        // What has come so far never goes on.
        _ => {
            proxy.set(Mode::Mute);
            tokio::time::sleep(time).await;
            proxy.cut();
            hold(proxy, Mode::Refuse, time / 4).await;
            "no answer came through, and then connections were refused"
        }
    }
}

async fn hold(proxy: &Proxy, mode: Mode, time: Duration) {
    proxy.set(mode);
    tokio::time::sleep(time).await;
    proxy.set(Mode::Pass);
}
