//! MariaDB: a server that dies and comes back, networks that fail, statements that are forgotten.

use std::time::Duration;

use sqlbypass::mysql_async::prelude::Queryable as _;
use sqlbypass::mysql_async::{OptsBuilder, Pool, PoolConstraints, PoolOpts};
use sqlbypass::{MySqlBuilder, MySqlStore};

use super::network::{self, suffer};
use super::random::Random;
use super::run::{DEADLINE, Faulty, histories};
use super::servers::mariadb::Options;
use super::servers::{MariaDb, Proxy};

struct Place {
    server: MariaDb,
    database: String,
    proxies: Vec<Proxy>,
    stores: Vec<MySqlStore>,
    /// The last store's.
    pool: Pool,
}

impl Place {
    /// Three processes: with lanes, without, and with a pool of its own.
    async fn open() -> Self {
        // Without a binary log InnoDB shows a commit before it is on disk, and a server that is killed
        // just then takes back what others have seen: <https://bugs.mysql.com/bug.php?id=74303>.
        let with_log = std::env::var_os("HISTORY_WITHOUT_BINARY_LOG").is_none();
        let settings = ["log_bin = binary", "server_id = 1", "sync_binlog = 1"];
        let settings = if with_log { settings.map(str::to_owned).to_vec() } else { Vec::new() };
        let server = MariaDb::start(Options { durable: true, settings, ..Options::default() });
        let database = server.create_schema().await;
        let mut proxies = Vec::new();
        for _ in 0..3 {
            proxies.push(Proxy::start(server.port()).await);
        }
        let opts = OptsBuilder::from_opts(server.tcp_opts(proxies[2].port()));
        let opts = opts.db_name(Some(&database)).client_found_rows(true);
        let settings = PoolOpts::new().with_constraints(PoolConstraints::new(0, 4).unwrap());
        let pool = Pool::new(opts.pool_opts(settings.with_reset_connection(false)));
        let url = |n: usize| server.url_through(proxies[n].port(), &database);
        let builder = |n| MySqlStore::url(&url(n)).unwrap().max_connections(4);
        builder(0).create(true).open().await.unwrap();
        let (first, second) = (builder(0), builder(1).lanes(false));
        let third = MySqlStore::pool(pool.clone());
        let mut stores = Vec::new();
        for builder in [first, second, third] {
            stores.push(hurried(builder).open().await.unwrap());
        }
        Self { server, database, proxies, stores, pool }
    }

    /// A connection of the last store's forgets its statements.
    async fn forget(&self) {
        let forget = async {
            let mut connection = self.pool.get_conn().await.ok()?;
            connection.reset().await.ok()?;
            connection.query_drop(format!("USE {}", self.database)).await.ok()
        };
        let _ = tokio::time::timeout(DEADLINE, forget).await;
    }

    async fn run(&self, sql: &str) {
        self.server.connect(&self.database).await.query_drop(sql).await.unwrap();
    }

    async fn end_connections(&self) {
        let mut beside = self.server.connect("").await;
        let others = "SELECT id FROM information_schema.processlist
                      WHERE user = 'app' AND id <> CONNECTION_ID()";
        let ids: Vec<u64> = beside.query(others).await.unwrap();
        for id in ids {
            // It may be gone by now.
            let _ = beside.query_drop(format!("KILL {id}")).await;
        }
    }
}

fn hurried(builder: MySqlBuilder) -> MySqlBuilder {
    // Lazy: at its first connections too it may have no time.
    builder.lazy(true).deadline(DEADLINE).connect_deadline(DEADLINE / 2)
}

impl Faulty for Place {
    type Store = MySqlStore;

    fn stores(&self) -> Vec<MySqlStore> {
        self.stores.clone()
    }

    fn faults(&self) -> usize {
        network::FAULTS + 3
    }

    async fn suffer(&self, fault: usize, random: &mut Random) -> &'static str {
        match fault.checked_sub(network::FAULTS) {
            None => suffer(&self.server, &self.proxies, fault, random).await,
            Some(0) => {
                for _ in 0..10 {
                    self.forget().await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                "statements were forgotten"
            }
            Some(1) => {
                self.run("ALTER TABLE sessions ADD COLUMN more text").await;
                tokio::time::sleep(Duration::from_millis(50)).await;
                self.run("ALTER TABLE sessions DROP COLUMN more").await;
                "a column was added and dropped"
            }
            _ => {
                self.end_connections().await;
                "the server ended all connections"
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_on_mariadb() {
    if !MariaDb::available() {
        return;
    }
    histories("MariaDB", &Place::open().await).await;
}
