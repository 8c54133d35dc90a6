//! Which hosts answered of late, so that a dead one costs few connections its deadline.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::failure::Failure;

/// For so long after it failed a host comes after those that did not. It is never left out.
const AVOIDED: Duration = Duration::from_secs(30);

pub(crate) struct Health {
    hosts: Vec<Mutex<State>>,
    trouble: Mutex<Option<Failure>>,
}

#[derive(Default)]
struct State {
    failed: Option<Instant>,
    /// The address that last worked, of several that the name has.
    good: Option<IpAddr>,
}

/// An attempt under way.
pub(crate) struct Trial<'a> {
    state: &'a Mutex<State>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Health {
    pub(crate) fn new(hosts: usize) -> Self {
        let hosts = std::iter::repeat_with(Mutex::default).take(hosts).collect();
        Self { hosts, trouble: Mutex::new(None) }
    }

    /// The hosts in the order in which to try them.
    pub(crate) fn order(&self, shuffled: bool) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.hosts.len()).collect();
        if shuffled {
            shuffle(&mut order);
        }
        order.sort_by_key(|index| {
            lock(&self.hosts[*index]).failed.filter(|failed| failed.elapsed() < AVOIDED)
        });
        order
    }

    pub(crate) fn begin(&self, index: usize) -> Trial<'_> {
        let state = &self.hosts[index];
        // One connection finds out whether a failed host is back; the others go elsewhere.
        if let Some(failed) = &mut lock(state).failed {
            *failed = Instant::now();
        }
        Trial { state }
    }

    pub(crate) fn connected(&self) {
        *lock(&self.trouble) = None;
    }

    pub(crate) fn failed(&self, failure: Failure) {
        *lock(&self.trouble) = Some(failure);
    }

    /// Why the last connection was not made, if none was since.
    pub(crate) fn trouble(&self) -> Option<Failure> {
        lock(&self.trouble).clone()
    }
}

impl Trial<'_> {
    /// The addresses in the order in which to try them.
    pub(crate) fn sort(
        &self,
        mut addresses: Vec<Option<IpAddr>>,
        shuffled: bool,
    ) -> Vec<Option<IpAddr>> {
        addresses.dedup();
        match shuffled {
            true => shuffle(&mut addresses),
            false => {
                let good = lock(self.state).good;
                addresses.sort_by_key(|address| good.is_none() || *address != good);
            }
        }
        addresses
    }

    /// Waits for the attempt. After so long others try elsewhere first, until it has worked: an
    /// operation's deadline can be shorter than a host's.
    pub(crate) async fn watch<T>(&self, patience: Duration, attempt: impl Future<Output = T>) -> T {
        let mut attempt = pin!(attempt);
        match tokio::time::timeout(patience, &mut attempt).await {
            Ok(result) => result,
            Err(_) => {
                lock(self.state).failed = Some(Instant::now());
                attempt.await
            }
        }
    }

    /// The attempt came to an end: a connection to this address, or none.
    pub(crate) fn ended(&self, connected: Option<Option<IpAddr>>) {
        match connected {
            Some(good) => *lock(self.state) = State { failed: None, good },
            None => lock(self.state).failed = Some(Instant::now()),
        }
    }
}

/// By Fisher and Yates. Without random bytes the order stays.
fn shuffle<T>(items: &mut [T]) {
    for last in (1..items.len()).rev() {
        let Ok(random) = getrandom::u64() else { return };
        let index = random % (last as u64 + 1);
        items.swap(last, usize::try_from(index).unwrap_or(last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health::new(3)
    }

    #[test]
    fn a_failed_host_comes_last_until_it_works() {
        let health = health();
        assert_eq!(health.order(false), [0, 1, 2]);
        health.begin(0).ended(None);
        assert_eq!(health.order(false), [1, 2, 0]);
        health.begin(1).ended(None);
        assert_eq!(health.order(false), [2, 0, 1]);
        health.begin(0).ended(Some(None));
        assert_eq!(health.order(false), [0, 2, 1]);
    }

    #[tokio::test]
    async fn a_host_that_takes_long_comes_last_until_it_works() {
        let health = health();
        let trial = health.begin(0);
        let attempt = async {
            assert_eq!(health.order(false), [0, 1, 2]);
            tokio::time::sleep(Duration::from_millis(50)).await;
            health.order(false)
        };
        assert_eq!(trial.watch(Duration::from_millis(1), attempt).await, [1, 2, 0]);
        trial.ended(Some(None));
        assert_eq!(health.order(false), [0, 1, 2]);
    }

    #[test]
    fn every_host_is_in_every_order() {
        let health = health();
        for _ in 0..50 {
            let mut order = health.order(true);
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2]);
        }
    }

    #[test]
    fn the_address_that_worked_comes_first() {
        let health = health();
        let address = |last| Some(IpAddr::from([127, 0, 0, last]));
        health.begin(0).ended(Some(address(2)));
        let sorted = health.begin(0).sort(vec![address(1), address(2), address(3)], false);
        assert_eq!(sorted, [address(2), address(1), address(3)]);
    }
}
