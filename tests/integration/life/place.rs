//! Tables of Rails' own making on each database.

use std::time::{Duration, SystemTime};

use sqlbypass::{AnyStore, SessionId, Table};
use tempfile::TempDir;
use time::OffsetDateTime;

use super::rails::Rails;
use crate::servers::{MariaDb, Postgres};

/// A table, by a URL that our stores and the drivers take alike.
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) table: String,
    _folder: Option<TempDir>,
}

impl Place {
    pub(crate) async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
        Some(Self { url, table: "sessions".into(), _folder: Some(folder) }.made().await)
    }

    /// `None` without such a server.
    pub(crate) async fn postgres() -> Option<Self> {
        if !Postgres::available() {
            return None;
        }
        let server = Postgres::shared();
        let table = format!("{}.sessions", server.create_schema().await);
        let url = server.socket_url("postgres");
        Some(Self { url, table, _folder: None }.made().await)
    }

    /// `None` without such a server.
    pub(crate) async fn mariadb() -> Option<Self> {
        if !MariaDb::available() {
            return None;
        }
        let server = MariaDb::shared();
        let url = server.socket_url(&server.create_schema().await);
        Some(Self { url, table: "sessions".into(), _folder: None }.made().await)
    }

    async fn made(self) -> Self {
        self.open().await;
        self
    }

    /// A store on it.
    pub(crate) async fn open(&self) -> AnyStore {
        let builder = AnyStore::url(&self.url).unwrap();
        let table = Table::new(&*self.table).unwrap();
        builder.table(table).create(true).deadline(Duration::from_secs(30)).open().await.unwrap()
    }

    /// A Rails app on it.
    pub(crate) async fn rails(&self) -> Rails {
        Rails::start(&self.url, &self.table).await
    }

    /// Whether the database has no clock but the application's.
    pub(crate) fn has_no_clock(&self) -> bool {
        self.url.starts_with("sqlite:")
    }

    /// Makes a row look as if it had begun and been used so long ago.
    pub(crate) async fn age(
        &self,
        rails: &mut Rails,
        id: &SessionId,
        begun: Duration,
        used: Duration,
    ) {
        let (begun, used) = (ago(begun), ago(used));
        let sql = format!(
            "UPDATE {} SET created_at = '{begun}', updated_at = '{used}' WHERE session_id = ?",
            self.table
        );
        assert_eq!(rails.execute(&sql, &[id.private().as_str()]).await, 1);
    }
}

/// So long ago, as Rails writes a time, in UTC.
pub(crate) fn ago(duration: Duration) -> String {
    let time = OffsetDateTime::from(SystemTime::now() - duration);
    let (year, month, day) = (time.year(), u8::from(time.month()), time.day());
    let (hour, minute, second, micros) =
        (time.hour(), time.minute(), time.second(), time.microsecond());
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{micros:06}")
}
