pub(crate) struct Postgres;
impl Postgres {
    pub(crate) fn shared() -> Self {
        Self
    }
    pub(crate) fn socket_url(&self, db: &str) -> String {
        format!("postgres://app:pw@127.0.0.1:55432/{db}")
    }
    pub(crate) async fn connect(&self, db: &str) -> tokio_postgres::Client {
        let (c, conn) =
            tokio_postgres::connect(&self.socket_url(db), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(conn);
        c
    }
}
