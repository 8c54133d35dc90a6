pub(crate) struct Postgres;
impl Postgres {
    pub(crate) fn shared() -> Self {
        Self
    }
    pub(crate) fn socket_url(&self, db: &str) -> String {
        format!("postgres://app:pw@%2Ftmp%2Fpg:55432/{db}")
    }
    pub(crate) async fn connect(&self, db: &str) -> tokio_postgres::Client {
        let (c, conn) =
            tokio_postgres::connect(&self.socket_url(db), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(conn);
        c
    }
}
#[derive(Default)]
#[allow(dead_code)]
pub(crate) struct Options {
    pub(crate) durable: bool,
}
#[allow(dead_code)]
impl Postgres {
    pub(crate) fn available() -> bool {
        true
    }
    pub(crate) fn start(_: Options) -> Self {
        Self
    }
    pub(crate) fn socket_folder(&self) -> std::path::PathBuf {
        "/tmp/pg".into()
    }
    pub(crate) fn port(&self) -> u16 {
        55432
    }
    pub(crate) fn password(&self) -> &str {
        "pw"
    }
}
