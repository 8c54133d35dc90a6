//! What the parameters of a URL mean: those of MySQL's and MariaDB's clients and of Rails.

use std::mem;
use std::time::Duration;

use super::super::options::{FOR_EVER, MySqlBuilder, Source};
use super::server::Server;
use crate::error::{Error, Result};
use crate::store::connect::SslMode;
use crate::store::connect::host::Password;
use crate::store::connect::url::{Pair, bad, url_pairs};
use crate::store::connect::values::{Lists, boolean, number, some, wrong};

impl MySqlBuilder {
    /// Reads `mysql://…` or `mariadb://…`.
    pub(crate) fn from_url(url: &str) -> Result<Self> {
        let url = url.trim();
        let rest =
            ["mysql://", "mariadb://", "mysql2://", "trilogy://"].iter().find_map(|prefix| {
                let start = url.get(..prefix.len())?;
                start.eq_ignore_ascii_case(prefix).then(|| &url[prefix.len()..])
            });
        let Some(rest) = rest else {
            return Err(bad("it does not begin with mysql:// or mariadb://")
                .advice("write mysql://user:password@host/database"));
        };
        apply(Self::from_nothing(), &url_pairs(rest)?)
    }
}

/// Sets what the pairs say; of two with the same name the later one counts.
fn apply(mut builder: MySqlBuilder, pairs: &[Pair]) -> Result<MySqlBuilder> {
    let mut server = match &mut builder.source {
        Source::Server(server) => mem::take(server),
        Source::Pool(_) => return Ok(builder),
    };
    let mut lists = Lists::default();
    let mut socket = None;
    for (key, value) in pairs {
        // The clients write a dash where their configuration files and Rails write none.
        let name = key.replace('-', "_").to_ascii_lowercase();
        if matches!(name.as_str(), "socket" | "unix_socket") {
            socket = some(value);
            continue;
        }
        let known = lists.set(&name, value)
            || set_server(&mut server, &name, value)?
            || set_tls(&mut server, &name, value)?
            || set_pool(&mut builder, &name, value)?
            || ignored(&name, value)?;
        if !known {
            return Err(unknown(key));
        }
    }
    // A socket stands for the host: the path is all there is to know.
    if let Some(path) = socket {
        lists.set("host", &path);
        lists.set("port", "");
    }
    server.hosts = lists.hosts(&mut server.port)?;
    server.check()?;
    builder.source = Source::Server(server);
    Ok(builder)
}

/// Names the parameter, unless it may be the rest of a password.
fn unknown(key: &str) -> Error {
    let is_name =
        key.len() <= 40 && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if is_name {
        bad(format!("it has an unknown parameter {key}")).advice(
            "known are socket, ssl-mode, ssl-ca, ssl-cert, ssl-key, connect_timeout, pool_max, \
             load_balance_hosts and wsrep_sync_wait",
        )
    } else {
        bad("it has an unknown parameter").advice("percent-encode & and = in a URL's password")
    }
}

fn set_server(server: &mut Server, key: &str, value: &str) -> Result<bool> {
    match key {
        "user" | "username" => server.user = some(value),
        "password" => server.password = some(value).map(Password),
        "dbname" | "database" => server.database = some(value),
        "wsrep_sync_wait" => server.wsrep_sync_wait = boolean(key, value)?,
        "load_balance_hosts" => {
            server.shuffle = match value {
                "disable" => false,
                "random" => true,
                _ => return Err(wrong(key, "known are disable and random")),
            };
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_tls(server: &mut Server, key: &str, value: &str) -> Result<bool> {
    match key {
        "ssl_mode" | "sslmode" => {
            let mode = value.to_ascii_lowercase().replace('-', "_");
            server.ssl_mode = Some(match mode.as_str() {
                "disabled" | "disable" => SslMode::Disable,
                "preferred" | "prefer" => SslMode::Prefer,
                "required" | "require" => SslMode::Require,
                "verify_ca" => SslMode::VerifyCa,
                "verify_identity" | "verify_full" => SslMode::VerifyFull,
                _ => {
                    return Err(wrong(
                        key,
                        "known are DISABLED, PREFERRED, REQUIRED, VERIFY_CA and VERIFY_IDENTITY",
                    ));
                }
            });
        }
        "ssl_ca" | "sslca" | "sslrootcert" => server.root = some(value).map(Into::into),
        "ssl_cert" | "sslcert" => server.client_cert = some(value).map(Into::into),
        "ssl_key" | "sslkey" => server.client_key = some(value).map(Into::into),
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_pool(builder: &mut MySqlBuilder, key: &str, value: &str) -> Result<bool> {
    match key {
        "connect_timeout" => {
            builder.connect_deadline = match number::<u32>(key, value)? {
                0 => FOR_EVER,
                seconds => Duration::from_secs(seconds.into()),
            };
        }
        // Rails calls it pool, and for each of its processes.
        "pool_max" | "pool" => match number::<u16>(key, value)? {
            0 => return Err(wrong(key, "there has to be one connection at least")),
            connections => builder.max_connections = connections.into(),
        },
        _ => return Ok(false),
    }
    Ok(true)
}

/// What can be passed over while it asks for what happens anyhow.
fn ignored(key: &str, value: &str) -> Result<bool> {
    let fits = match key {
        "encoding" | "charset" | "default_character_set" => {
            ["utf8mb4", "utf8"].contains(&value.to_ascii_lowercase().as_str())
        }
        "collation" => value.starts_with("utf8mb4_"),
        "prepared_statements" => value == "true",
        "reconnect" => true,
        _ => return Ok(false),
    };
    if fits { Ok(true) } else { Err(bad(format!("this value of {key} is not supported here"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server> {
        match MySqlBuilder::from_url(url)?.source {
            Source::Server(server) => Ok(*server),
            Source::Pool(_) => panic!("a URL names no pool"),
        }
    }

    #[test]
    fn a_url_names_hosts_user_and_database() {
        let url = "mysql://app:p%40ss@db1:3307,[::1],db3/shop?ssl-mode=VERIFY_IDENTITY&pool=3";
        let found = server(url).unwrap();
        let hosts: Vec<(String, u16)> =
            found.hosts().into_iter().map(|(host, port)| (host.name, port)).collect();
        let expected = [("db1", 3307), ("::1", 3306), ("db3", 3306)];
        assert_eq!(hosts, expected.map(|(name, port)| (name.to_owned(), port)));
        assert_eq!(found.user.as_deref(), Some("app"));
        assert_eq!(found.password, Some(Password("p@ss".into())));
        assert_eq!(found.database.as_deref(), Some("shop"));
        assert_eq!(found.ssl_mode(), SslMode::VerifyFull);
        assert!(!format!("{found:?}").contains("p@ss"));
        assert_eq!(MySqlBuilder::from_url(url).unwrap().max_connections, 3);
    }

    #[test]
    fn a_socket_stands_for_the_host() {
        for url in [
            "mysql://app@localhost:3306/shop?socket=/run/my.sock",
            "mariadb://app@/shop?unix_socket=%2Frun%2Fmy.sock",
            "mysql://app@%2Frun%2Fmy.sock/shop",
        ] {
            let hosts = server(url).unwrap().hosts();
            assert_eq!(hosts.len(), 1, "{url}");
            assert!(hosts[0].0.is_socket() && hosts[0].0.name == "/run/my.sock", "{url}");
        }
    }

    #[test]
    fn names_of_the_clients_and_of_rails_are_known() {
        let found = server("mysql://a@h/d?sslmode=required&sslca=/ca.pem&ssl-cert=/c&sslkey=/k");
        let found = found.unwrap();
        assert_eq!(found.ssl_mode(), SslMode::VerifyCa, "a root that is given is checked");
        assert!(found.client_cert.is_some() && found.client_key.is_some());
        assert!(server("mysql://a@h/d?encoding=utf8mb4&collation=utf8mb4_bin").is_ok());
        assert!(server("mysql://a@h/d?wsrep_sync_wait=1").unwrap().wsrep_sync_wait);
    }

    #[test]
    fn what_is_wrong_is_refused_without_being_quoted() {
        for url in [
            "postgres://h/d",
            "mysql://a:secret@h/d?ssl-mode=secret",
            "mysql://a@h/d?pool=0",
            "mysql://a@h/d?charset=latin1",
            "mysql://a@h/d?nonsense=secret",
            "mysql://a@h/d?ssl-cert=/only",
            "mysql://a@h/d?ssl-mode=VERIFY_CA",
            "mysql://a:se@cret@h/d",
        ] {
            let error = server(url).err().unwrap();
            assert!(error.is_config(), "{url}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
