//! What holds on every database alike, on the table that Rails' migration makes.

use super::{flood, table};
use crate::conformance::{mysql, postgres, sqlite};
use crate::servers::{MariaDb, Postgres};

type OnSqlite = sqlite::Sqlite<sqlite::Rails>;
type OnPostgres = postgres::Schema<postgres::Rails>;
type OnMySql = mysql::Database<mysql::Rails>;

macro_rules! everywhere {
    ($($module:ident::$case:ident as $name:ident;)+) => {$(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                $module::$case::<OnSqlite>().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                if Postgres::available() {
                    $module::$case::<OnPostgres>().await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_mysql() {
                if MariaDb::available() {
                    $module::$case::<OnMySql>().await;
                }
            }
        }
    )+};
}

everywhere! {
    table::run as each_row_of_the_table;
    flood::malformed as malformed_cookies_cost_nothing;
    flood::unknown as unknown_ids_cost_one_read;
}
