//! PostgreSQL: a server that dies and comes back, networks that fail, statements that are forgotten.

use std::time::Duration;

use sqlbypass::deadpool_postgres::Pool;
use sqlbypass::{PostgresBuilder, PostgresStore, tokio_postgres};

use super::network::{self, suffer};
use super::random::Random;
use super::run::{DEADLINE, Faulty, histories};
use super::servers::{Options, Postgres, Proxy};

struct Place {
    server: Postgres,
    proxies: Vec<Proxy>,
    stores: Vec<PostgresStore>,
    /// The last store's.
    pool: Pool,
}

impl Place {
    /// Three processes: with lanes, without, and with a pool of its own.
    async fn open() -> Self {
        let server = Postgres::start(Options { durable: true, ..Options::default() });
        let mut proxies = Vec::new();
        for _ in 0..3 {
            proxies.push(Proxy::start(server.port()).await);
        }
        let url = |n: usize| server.url_through(proxies[n].port(), "postgres");
        let config: tokio_postgres::Config = url(2).parse().unwrap();
        let manager = deadpool_postgres::Manager::new(config, tokio_postgres::NoTls);
        let pool = Pool::builder(manager).max_size(4).build().unwrap();
        let builder = |n| PostgresStore::url(&url(n)).unwrap().max_connections(4);
        builder(0).create(true).open().await.unwrap();
        let (first, second) = (builder(0), builder(1).lanes(false));
        let third = PostgresStore::pool(pool.clone());
        let mut stores = Vec::new();
        for builder in [first, second, third] {
            stores.push(hurried(builder).open().await.unwrap());
        }
        Self { server, proxies, stores, pool }
    }

    /// A connection of the last store's forgets its statements.
    async fn forget(&self) {
        let forget = async {
            let connection = self.pool.get().await.ok()?;
            connection.batch_execute("DISCARD ALL").await.ok()
        };
        let _ = tokio::time::timeout(DEADLINE, forget).await;
    }

    async fn run(&self, sql: &str) {
        self.server.connect("postgres").await.batch_execute(sql).await.unwrap();
    }
}

fn hurried(builder: PostgresBuilder) -> PostgresBuilder {
    // Lazy: at its first connections too it may have no time.
    builder.lazy(true).deadline(DEADLINE).connect_deadline(DEADLINE / 2)
}

impl Faulty for Place {
    type Store = PostgresStore;

    fn stores(&self) -> Vec<PostgresStore> {
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
                let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                              WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
                self.run(others).await;
                "the server ended all connections"
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_on_postgres() {
    if !Postgres::available() {
        return;
    }
    histories("PostgreSQL", &Place::open().await).await;
}
