//! What every server of the tests can suffer.

use super::{MariaDb, Postgres};

/// A server that dies and comes back.
pub(crate) trait Mortal: Send + Sync + 'static {
    fn kill(&self);
    fn restart(&self);
    fn pause(&self);
    fn resume(&self);
}

macro_rules! mortal {
    ($($server:ty),*) => {$(
        impl Mortal for $server {
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
    )*};
}
mortal!(MariaDb, Postgres);
