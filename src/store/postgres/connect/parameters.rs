//! What the parameters of a URL mean: libpq's, and ours beside them.

use std::mem;
use std::time::Duration;

use super::super::options::{
    ChannelBinding, FOR_EVER, PostgresBuilder, Source, SslMode, TargetSessionAttrs,
};
use super::server::{Password, Roots, Server};
use super::url::{Pair, bad};
use crate::error::{Error, Result};
use crate::store::connect::values::{Lists, boolean, number, some, wrong};

/// Those of libpq that are not to be had here and mean too much to be passed over.
const MISSING: [&str; 21] = [
    "gssdelegation",
    "gsslib",
    "krbsrvname",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_issuer",
    "passfile",
    "replication",
    "require_auth",
    "requirepeer",
    "scram_client_key",
    "scram_server_key",
    "service",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcertmode",
    "sslcrl",
    "sslcrldir",
    "sslkeylogfile",
    "sslpassword",
];

/// Sets what the pairs say; of two with the same name the later one counts.
pub(super) fn apply(mut builder: PostgresBuilder, pairs: &[Pair]) -> Result<PostgresBuilder> {
    let mut server = match &mut builder.source {
        Source::Server(server) => mem::take(server),
        Source::Pool(_) => return Ok(builder),
    };
    let mut lists = Lists::default();
    let mut previous = "";
    for (key, value) in pairs {
        let known = lists.set(key, value)
            || set_server(&mut server, key, value)
            || set_choice(&mut server, key, value)?
            || set_tls(&mut server, key, value)?
            || set_keepalives(&mut server, key, value)?
            || set_pool(&mut builder, key, value)?
            || ignored(key, value)?;
        if !known {
            return Err(unknown(key, previous));
        }
        previous = key;
    }
    server.hosts = lists.hosts(&mut server.port)?;
    server.check()?;
    builder.source = Source::Server(server);
    Ok(builder)
}

/// Names the parameter, unless it may be the rest of a password.
fn unknown(key: &str, previous: &str) -> Error {
    let is_name = key.len() <= 40 && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let advice = "known are libpq's parameters, pool_max and pgbouncer";
    if MISSING.contains(&key) {
        bad(format!("the parameter {key} is libpq's and not supported here"))
    } else if is_name && previous != "password" {
        bad(format!("it has an unknown parameter {key}")).advice(advice)
    } else {
        bad("it has an unknown parameter").advice(
            "percent-encode & and = in a URL's password, and put '…' round one that has spaces",
        )
    }
}

fn set_server(server: &mut Server, key: &str, value: &str) -> bool {
    match key {
        "user" => server.user = some(value),
        "password" => server.password = some(value).map(Password),
        "dbname" => server.database = some(value),
        "application_name" => server.application_name = some(value),
        "fallback_application_name" => {
            server.application_name = server.application_name.take().or(some(value));
        }
        "options" => server.options = some(value),
        _ => return false,
    }
    true
}

fn set_tls(server: &mut Server, key: &str, value: &str) -> Result<bool> {
    match key {
        "sslmode" => {
            server.ssl_mode = Some(match value {
                "disable" => SslMode::Disable,
                "allow" => SslMode::Allow,
                "prefer" => SslMode::Prefer,
                "require" => SslMode::Require,
                "verify-ca" => SslMode::VerifyCa,
                "verify-full" => SslMode::VerifyFull,
                _ => {
                    return Err(wrong(
                        key,
                        "known are disable, allow, prefer, require, verify-ca and verify-full",
                    ));
                }
            });
        }
        "sslrootcert" => server.roots = some(value).map(|file| Roots::named(file.into())),
        "sslcert" => server.client_cert = some(value).map(Into::into),
        "sslkey" => server.client_key = some(value).map(Into::into),
        "sslnegotiation" => {
            server.ssl_direct = match value {
                "postgres" => false,
                "direct" => true,
                _ => return Err(wrong(key, "known are postgres and direct")),
            };
        }
        "channel_binding" => {
            server.channel_binding = match value {
                "disable" => ChannelBinding::Disable,
                "prefer" => ChannelBinding::Prefer,
                "require" => ChannelBinding::Require,
                _ => return Err(wrong(key, "known are disable, prefer and require")),
            };
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_keepalives(server: &mut Server, key: &str, value: &str) -> Result<bool> {
    // libpq takes zero and less for the system's default.
    let positive = || number::<i32>(key, value).map(|number| u32::try_from(number).unwrap_or(0));
    let seconds = || match positive()? {
        0 => Ok::<_, Error>(None),
        seconds => Ok(Some(Duration::from_secs(seconds.into()))),
    };
    let keepalives = &mut server.keepalives;
    match key {
        "keepalives" => keepalives.off = number::<i32>(key, value)? == 0,
        "keepalives_idle" => keepalives.idle = seconds()?,
        "keepalives_interval" => keepalives.interval = seconds()?,
        "keepalives_count" | "keepalives_retries" => {
            keepalives.count = Some(positive()?).filter(|count| *count > 0);
        }
        "tcp_user_timeout" => {
            let timeout = Duration::from_millis(positive()?.into());
            keepalives.user_timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_pool(builder: &mut PostgresBuilder, key: &str, value: &str) -> Result<bool> {
    match key {
        "connect_timeout" => {
            builder.connect_deadline = match number::<i32>(key, value)? {
                ..=0 => FOR_EVER,
                seconds => Duration::from_secs(seconds.unsigned_abs().into()),
            };
        }
        // Rails calls it pool, and for each of its processes.
        "pool_max" | "pool" => match number::<u16>(key, value)? {
            0 => return Err(wrong(key, "there has to be one connection at least")),
            connections => builder.max_connections = connections.into(),
        },
        "pgbouncer" => builder.pgbouncer = boolean(key, value)?,
        // How Rails is told of a pooler.
        "prepared_statements" => builder.pgbouncer = !boolean(key, value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn set_choice(server: &mut Server, key: &str, value: &str) -> Result<bool> {
    match key {
        "target_session_attrs" => {
            server.target = match value {
                "any" => TargetSessionAttrs::Any,
                "read-write" => TargetSessionAttrs::ReadWrite,
                "read-only" => TargetSessionAttrs::ReadOnly,
                "primary" => TargetSessionAttrs::Primary,
                "standby" => TargetSessionAttrs::Standby,
                "prefer-standby" => TargetSessionAttrs::PreferStandby,
                _ => {
                    return Err(wrong(
                        key,
                        "known are any, read-write, read-only, primary, standby and prefer-standby",
                    ));
                }
            };
        }
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

/// What can be passed over while it asks for what happens anyhow.
fn ignored(key: &str, value: &str) -> Result<bool> {
    let fits = match key {
        "client_encoding" | "encoding" => {
            ["utf8", "utf-8", "unicode", "auto"].contains(&value.to_ascii_lowercase().as_str())
        }
        "gssencmode" => matches!(value, "disable" | "prefer"),
        "sslcompression" => value == "0",
        "sslsni" => value == "1",
        _ => return Ok(false),
    };
    if fits { Ok(true) } else { Err(bad(format!("this value of {key} is not supported here"))) }
}
