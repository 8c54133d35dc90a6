//! The operator's commands, by the real program and by the library, on every database.

mod bench;
mod clear;
mod convert;
mod create;
mod cures;
mod doctor_columns;
mod doctor_reach;
mod doctor_rows;
mod doctor_table;
mod empty;
mod encrypt;
mod halfway;
mod keys;
mod long;
mod look;
mod missing;
mod mistakes;
mod place;
mod rights;
mod trim;
mod upgrade;
mod usage;
mod users;

/// Each case on SQLite, PostgreSQL and MariaDB, as tests of their own.
macro_rules! everywhere {
    ($($case:ident),* $(,)?) => {
        crate::admin::everywhere!(@on sqlite: $($case),*);
        crate::admin::everywhere!(@on postgres: $($case),*);
        crate::admin::everywhere!(@on mariadb: $($case),*);
    };
    (@on $database:ident: $($case:ident),*) => {
        mod $database {
            use crate::admin::place::Place;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    if let Some(place) = Place::$database().await {
                        super::$case(place).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use everywhere;
