//! A Galera cluster of MariaDB servers.

use std::path::Path;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;

use super::mariadb::{MariaDb, Options, program};
use super::process::{PATIENCE, free_port};

const PROVIDERS: [&str; 3] = [
    "/usr/lib/galera/libgalera_smm.so",
    "/usr/lib/libgalera_smm.so",
    "/usr/lib64/galera-4/libgalera_smm.so",
];

/// Nodes on this machine, each of which takes writes.
pub(crate) struct Galera {
    pub(crate) nodes: Vec<MariaDb>,
}

impl Galera {
    /// Whether what it needs is installed.
    pub(crate) fn available() -> bool {
        let tools = ["wsrep_sst_rsync", "rsync"].into_iter().all(|tool| program(tool).is_some());
        MariaDb::available() && provider().is_some() && tools
    }

    /// Starts the nodes; each of them has all data and takes writes when this returns.
    pub(crate) async fn start(nodes: usize, settings: &[&str]) -> Self {
        let ports: Vec<u16> = (0..nodes).map(|_| free_port()).collect();
        let all: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        let cluster = format!("wsrep_cluster_address = gcomm://{}", all.join(","));
        let mut cluster = vec![cluster];
        cluster.extend(settings.iter().map(|line| (*line).to_owned()));
        let node = |address: &String| {
            let mut settings = cluster.clone();
            settings.extend(of_node(address));
            MariaDb::prepare(free_port(), &Options { settings, ..Options::default() })
        };
        let galera = Self { nodes: all.iter().map(node).collect() };
        for index in 0..nodes {
            galera.join(index, index == 0).await;
        }
        galera
    }

    /// Starts a node and waits until it has what the others have.
    pub(crate) async fn join(&self, index: usize, first: bool) {
        let node = &self.nodes[index];
        let more: &[String] = if first { &["--wsrep-new-cluster".to_owned()] } else { &[] };
        node.spawn(more);
        let until = Instant::now() + PATIENCE;
        loop {
            if node.greets() && is_ready(node).await {
                return;
            }
            assert!(Instant::now() < until, "a node did not join: {}", node.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Whether it is part of a working cluster.
async fn is_ready(node: &MariaDb) -> bool {
    let Ok(mut client) = node.try_connect("").await else { return false };
    let sql = "SHOW STATUS LIKE 'wsrep_ready'";
    let ready: Option<(String, String)> = client.query_first(sql).await.unwrap_or_default();
    ready.is_some_and(|(_, value)| value == "ON")
}

fn provider() -> Option<&'static str> {
    PROVIDERS.into_iter().find(|path| Path::new(path).exists())
}

fn of_node(address: &str) -> Vec<String> {
    let provider = provider().expect("Galera's library");
    // A node that is dead is left out of the cluster after two seconds instead of five.
    let options = format!(
        "gmcast.listen_addr=tcp://{address};ist.recv_addr=127.0.0.1:{};gcache.size=16M;\
         evs.keepalive_period=PT0.3S;evs.inactive_check_period=PT0.3S;\
         evs.suspect_timeout=PT2S;evs.inactive_timeout=PT6S",
        free_port()
    );
    vec![
        "wsrep_on = on".into(),
        format!("wsrep_provider = {provider}"),
        format!("wsrep_provider_options = \"{options}\""),
        "wsrep_node_address = 127.0.0.1".into(),
        "wsrep_sst_method = rsync".into(),
        format!("wsrep_sst_receive_address = 127.0.0.1:{}", free_port()),
        "binlog_format = row".into(),
        "innodb_autoinc_lock_mode = 2".into(),
        "innodb_buffer_pool_size = 32M".into(),
    ]
}
