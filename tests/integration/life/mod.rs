//! The life of sessions on every database, beside a Rails app in a process of its own: what meets in
//! one session, whose clock counts, what a trim takes.

mod clock;
mod gate;
mod grace;
mod model;
pub(crate) mod place;
pub(crate) mod rails;
mod schedule;
mod trim;

/// Each case on each database, on a table of its own.
macro_rules! everywhere {
    ($($case:ident)+) => {
        everywhere! { @on sqlite $($case)+ }
        everywhere! { @on postgres $($case)+ }
        everywhere! { @on mariadb $($case)+ }
    };
    (@on $database:ident $($case:ident)+) => {
        mod $database {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(place) = crate::life::place::Place::$database().await {
                    super::$case(&place).await;
                }
            }
        )+}
    };
}
use everywhere;
