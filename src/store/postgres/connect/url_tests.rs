//! Every way to write a database, and what it comes to.

use proptest::prelude::*;

use super::super::super::options::{PostgresBuilder, Source};
use super::super::server::{Password, Server, label};

/// What differs from the defaults, in a line.
fn summary(builder: &PostgresBuilder) -> String {
    let Source::Server(server) = &builder.source else { return "a pool".to_owned() };
    let plain = Server::default();
    let mut parts: Vec<String> = server
        .hosts()
        .iter()
        .map(|(host, port)| {
            let address = host.address.filter(|_| !host.name.is_empty());
            let address = address.map(|address| format!("@{address}")).unwrap_or_default();
            format!("{}{address}", label(host, *port))
        })
        .collect();
    let mut add = |name: &str, value: &Option<String>| {
        parts.extend(value.as_ref().map(|value| format!("{name}={value}")));
    };
    add("user", &server.user);
    add("password", &server.password.as_ref().map(|Password(password)| password.clone()));
    add("db", &server.database);
    add("app", &server.application_name);
    add("options", &server.options);
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|p| p.display().to_string());
    add("cert", &path(&server.client_cert));
    add("key", &path(&server.client_key));
    add("roots", &server.roots.as_ref().map(|roots| format!("{roots:?}")));
    let mut differs = |differs: bool, text: String| parts.extend(differs.then_some(text));
    differs(server.ssl_mode() != plain.ssl_mode(), format!("{:?}", server.ssl_mode()));
    differs(server.ssl_direct, "direct".to_owned());
    differs(
        server.channel_binding != plain.channel_binding,
        format!("{:?}", server.channel_binding),
    );
    differs(server.target != plain.target, format!("{:?}", server.target));
    differs(server.shuffle, "shuffle".to_owned());
    differs(server.keepalives.off, "keepalives off".to_owned());
    let keepalives = &server.keepalives;
    for (name, time) in [
        ("idle", keepalives.idle),
        ("interval", keepalives.interval),
        ("user_timeout", keepalives.user_timeout),
    ] {
        differs(time.is_some(), format!("{name}={:?}", time.unwrap_or_default()));
    }
    differs(keepalives.count.is_some(), format!("count={}", keepalives.count.unwrap_or_default()));
    let defaults = PostgresBuilder::from_nothing();
    differs(
        builder.max_connections != defaults.max_connections,
        format!("max={}", builder.max_connections),
    );
    differs(builder.pgbouncer, "pgbouncer".to_owned());
    differs(
        builder.connect_deadline != defaults.connect_deadline,
        format!("deadline={:?}", builder.connect_deadline),
    );
    parts.join(" ")
}

const RIGHT: &[(&str, &str)] = &[
    ("postgres://", "/var/run/postgresql:5432"),
    ("postgresql://", "/var/run/postgresql:5432"),
    ("POSTGRES://h", "h:5432"),
    ("postgres:///app", "/var/run/postgresql:5432 db=app"),
    ("postgres://h", "h:5432"),
    ("postgres://h/", "h:5432"),
    ("postgres://h/app", "h:5432 db=app"),
    (" postgres://h/app\n", "h:5432 db=app"),
    ("postgres://h:5433/app", "h:5433 db=app"),
    ("postgres://h:/app", "h:5432 db=app"),
    ("postgres://u@h/app", "h:5432 user=u db=app"),
    ("postgres://u:p@h/app", "h:5432 user=u password=p db=app"),
    ("postgres://u:@h/app", "h:5432 user=u db=app"),
    ("postgres://:p@h/app", "h:5432 password=p db=app"),
    ("postgres://u:p:q@h", "h:5432 user=u password=p:q"),
    ("postgres://u:p?q&r=s#t@h", "h:5432 user=u password=p?q&r=s#t"),
    ("postgres://u%40x:p%2F%40%3A%25@h/a%20b", "h:5432 user=u@x password=p/@:% db=a b"),
    ("postgres://u:p%C3%A4@h", "h:5432 user=u password=pä"),
    ("postgres://h/a%2Fb", "h:5432 db=a/b"),
    ("postgres://a,b/app", "a:5432 b:5432 db=app"),
    ("postgres://a:1,b:2/app", "a:1 b:2 db=app"),
    ("postgres://a,b:2,c/app", "a:5432 b:2 c:5432 db=app"),
    ("postgres://a,b/app?port=7", "a:7 b:7 db=app"),
    ("postgres://[::1]/app", "[::1]:5432 db=app"),
    ("postgres://[::1]:5433,h/app", "[::1]:5433 h:5432 db=app"),
    ("postgres://[2001:db8::1]:1,[2001:db8::2]:2", "[2001:db8::1]:1 [2001:db8::2]:2"),
    ("postgres://127.0.0.1:1/app", "127.0.0.1:1 db=app"),
    ("postgres://%2Frun%2Fpostgresql/app", "/run/postgresql:5432 db=app"),
    ("postgres://%2Frun%2Fpostgresql:5433/app", "/run/postgresql:5433 db=app"),
    ("postgres://u@/app?host=/run/postgresql", "/run/postgresql:5432 user=u db=app"),
    ("postgres:///app?host=/run/a,b&port=1,2", "/run/a:1 b:2 db=app"),
    ("postgres://h?hostaddr=10.0.0.1", "h:5432@10.0.0.1"),
    ("postgres://?hostaddr=10.0.0.1", "10.0.0.1:5432"),
    ("postgres://h1,h2?hostaddr=10.0.0.1,::1", "h1:5432@10.0.0.1 h2:5432@::1"),
    ("postgres://h1,h2?hostaddr=,10.0.0.2", "h1:5432 h2:5432@10.0.0.2"),
    ("postgres://h?user=u&password=p&dbname=d", "h:5432 user=u password=p db=d"),
    ("postgres://u:p@h/d?user=v", "h:5432 user=v password=p db=d"),
    ("postgres://h?application_name=a%20b", "h:5432 app=a b"),
    ("postgres://h?fallback_application_name=x", "h:5432 app=x"),
    ("postgres://h?application_name=y&fallback_application_name=x", "h:5432 app=y"),
    ("postgres://h?options=-c%20work_mem%3D8MB", "h:5432 options=-c work_mem=8MB"),
    ("postgres://h?sslmode=disable", "h:5432 Disable"),
    ("postgres://h?sslmode=allow", "h:5432 Allow"),
    ("postgres://h?sslmode=prefer", "h:5432"),
    ("postgres://h?sslmode=require", "h:5432 Require"),
    ("postgres://h?ssl=true", "h:5432 Require"),
    ("postgres://h?sslmode=require&sslrootcert=/ca", "h:5432 roots=File(\"/ca\") VerifyCa"),
    ("postgres://h?sslmode=verify-ca&sslrootcert=/ca", "h:5432 roots=File(\"/ca\") VerifyCa"),
    ("postgres://h?sslmode=verify-full", "h:5432 VerifyFull"),
    ("postgres://h?sslmode=verify-full&sslrootcert=", "h:5432 VerifyFull"),
    ("postgres://h?sslrootcert=system", "h:5432 roots=System VerifyFull"),
    ("postgres://h?sslrootcert=/ca", "h:5432 roots=File(\"/ca\")"),
    ("postgres://h?sslcert=/c&sslkey=/k", "h:5432 cert=/c key=/k"),
    ("postgres://h?sslmode=require&sslnegotiation=direct", "h:5432 Require direct"),
    ("postgres://h?channel_binding=require", "h:5432 Require"),
    ("postgres://h?channel_binding=disable", "h:5432 Disable"),
    ("postgres://h?target_session_attrs=any", "h:5432"),
    ("postgres://h?target_session_attrs=read-write", "h:5432 ReadWrite"),
    ("postgres://h?target_session_attrs=read-only", "h:5432 ReadOnly"),
    ("postgres://h?target_session_attrs=primary", "h:5432 Primary"),
    ("postgres://h?target_session_attrs=standby", "h:5432 Standby"),
    ("postgres://h?target_session_attrs=prefer-standby", "h:5432 PreferStandby"),
    ("postgres://a,b?load_balance_hosts=random", "a:5432 b:5432 shuffle"),
    ("postgres://h?connect_timeout=3", "h:5432 deadline=3s"),
    ("postgres://h?connect_timeout=0", "h:5432 deadline=31536000s"),
    ("postgres://h?keepalives=0", "h:5432 keepalives off"),
    (
        "postgres://h?keepalives_idle=5&keepalives_interval=6&keepalives_count=7",
        "h:5432 idle=5s interval=6s count=7",
    ),
    ("postgres://h?tcp_user_timeout=1500", "h:5432 user_timeout=1.5s"),
    ("postgres://h?pool_max=3", "h:5432 max=3"),
    ("postgres://h?pool=5", "h:5432 max=5"),
    ("postgres://h?pgbouncer=true", "h:5432 pgbouncer"),
    ("postgres://h?pgbouncer=false", "h:5432"),
    ("postgres://h?prepared_statements=false", "h:5432 pgbouncer"),
    ("postgres://h?client_encoding=UTF8&encoding=unicode", "h:5432"),
    ("postgres://h?gssencmode=disable&&sslsni=1", "h:5432"),
    ("host=h", "h:5432"),
    ("host=h dbname=d user=u password=p port=1", "h:1 user=u password=p db=d"),
    ("host = h  dbname\t=\n'a b'", "h:5432 db=a b"),
    ("host=h password='it\\'s \\\\ =x'", "h:5432 password=it's \\ =x"),
    ("host=h password=a\\ b\\'c", "h:5432 password=a b'c"),
    ("host=h password=a@b:c/d", "h:5432 password=a@b:c/d"),
    ("host=h password=", "h:5432"),
    ("host=h password='' dbname=d", "h:5432 db=d"),
    ("host=a,b,/run/x port=1,,3", "a:1 b:5432 /run/x:3"),
    ("host=a,b port=9", "a:9 b:9"),
    ("host=::1 port=9", "[::1]:9"),
    ("dbname=d", "/var/run/postgresql:5432 db=d"),
    ("host=db_1.example.com", "db_1.example.com:5432"),
    ("host=h sslmode=verify-full sslrootcert='/my ca'", "h:5432 roots=File(\"/my ca\") VerifyFull"),
];

/// The error has to hold these words.
const WRONG: &[(&str, &str)] = &[
    ("", "does not begin with postgres://"),
    ("h", "does not begin with postgres://"),
    ("mysql://u:SECRET@h/app?x=y", "does not begin with postgres://"),
    ("postgres:/h", "does not begin with postgres://"),
    ("postgres://u:SEC@RET@h/app", "@ too many"),
    ("postgres://u:SEC/RET@h/app", "@ too many"),
    ("postgres://u:SEC?a/RET@h/app", "@ too many"),
    ("postgres://u:1/SECRET@h", "@ too many"),
    ("postgres://u:SECRET%@h", "two hexadecimal digits"),
    ("postgres://u:SECRET%4@h", "two hexadecimal digits"),
    ("postgres://u:SECRET%+4@h", "two hexadecimal digits"),
    ("postgres://u:SECRET%zz@h", "two hexadecimal digits"),
    ("postgres://u:SECRET%00@h", "zero byte"),
    ("postgres://u:SECRET%ff@h", "not UTF-8"),
    ("postgres://u:SEC RET@h", "space"),
    ("postgres://u:SECRET", "port"),
    ("postgres://h:99999", "port"),
    ("postgres://h:0", "port"),
    ("postgres://h:-1", "port"),
    ("postgres://[::1/app", "no ]"),
    ("postgres://[::1]x/app", "between"),
    ("postgres://::1/app", "port"),
    ("postgres://a%2Cb/app", "comma"),
    ("postgres://a;b/app", "host's name"),
    ("postgres://h/a/b", "/ in its name"),
    ("postgres://h?sslmode", "no value"),
    ("postgres://h?options=-c%20a=b", "two ="),
    ("postgres://h?sslmodes=require", "unknown parameter sslmodes"),
    ("postgres://h?password=SEC&RET=x", "an unknown parameter"),
    ("postgres://h?service=x", "service is libpq's"),
    ("postgres://h?sslpassword=SECRET", "sslpassword is libpq's"),
    ("postgres://h?passfile=/SECRET", "passfile is libpq's"),
    ("postgres://h?require_auth=scram-sha-256", "require_auth is libpq's"),
    ("postgres://h?sslcrl=/c", "sslcrl is libpq's"),
    ("postgres://h?sslmode=SECRET", "sslmode"),
    ("postgres://h?sslmode=verify-ca", "wants sslrootcert"),
    ("postgres://h?sslmode=require&sslrootcert=system", "verify-full"),
    ("postgres://h?sslcert=/c", "go together"),
    ("postgres://h?sslnegotiation=direct", "sslmode=require"),
    ("postgres://h?sslnegotiation=SECRET", "sslnegotiation"),
    ("postgres://h?sslmode=disable&channel_binding=require", "encryption"),
    ("postgres://h?channel_binding=SECRET", "channel_binding"),
    ("postgres://h?target_session_attrs=all", "target_session_attrs"),
    ("postgres://h?load_balance_hosts=true", "load_balance_hosts"),
    ("postgres://h?connect_timeout=SECRET", "connect_timeout"),
    ("postgres://h?keepalives=true", "keepalives"),
    ("postgres://h?pool_max=0", "pool_max"),
    ("postgres://h?pool_max=SECRET", "pool_max"),
    ("postgres://h?pgbouncer=SECRET", "pgbouncer"),
    ("postgres://h?client_encoding=latin1", "client_encoding"),
    ("postgres://h?gssencmode=require", "gssencmode"),
    ("postgres://h?hostaddr=SECRET", "hostaddr"),
    ("postgres://a,b?hostaddr=10.0.0.1", "hostaddr"),
    ("postgres://a,b?port=1,2,3", "as many ports"),
    ("host", "does not begin"),
    ("host=h password=SEC RET", "no ="),
    ("host=h password=SEC RET=x", "an unknown parameter"),
    ("host=h password='SECRET", "no end"),
    ("host=h hosts=x", "unknown parameter hosts"),
    ("host='h SECRET'", "host's name"),
    ("host=@abstract", "host's name"),
];

#[test]
fn every_spelling_is_read() {
    for (url, expected) in RIGHT {
        let builder = PostgresBuilder::from_url(url);
        assert_eq!(
            builder.map(|b| summary(&b)).map_err(|e| e.to_string()).as_deref(),
            Ok(*expected),
            "{url}"
        );
    }
}

#[test]
fn what_is_wrong_is_said_without_a_value() {
    for (url, words) in WRONG {
        let Err(error) = PostgresBuilder::from_url(url) else { panic!("{url} was taken") };
        assert!(error.is_config(), "{url}: {error}");
        assert!(error.to_string().contains(words), "{url}: {error}");
        let shown = format!("{error} {error:?}");
        for secret in ["SEC", "RET"] {
            assert!(!shown.contains(secret), "{url}: {shown}");
        }
    }
}

#[test]
fn the_debug_of_a_builder_shows_no_password() {
    let url = "postgres://u:SECRET@a:1,b/app?options=-c%20x%3DSECRET";
    let shown = format!("{:?}", PostgresBuilder::from_url(url).unwrap().host("c").port(7));
    assert!(!shown.contains("SECRET"), "{shown}");
    for expected in ["a:1", "b:5432", "c:7", "sessions", "max_connections"] {
        assert!(shown.contains(expected), "{expected} is not in {shown}");
    }
}

/// Pieces that parsers stumble over.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,4}",
        "[@:/?&=%,'\\\\ \\[\\]#]",
        Just("postgres://".to_owned()),
        Just("%2F".to_owned()),
        Just("host=".to_owned()),
        Just("&port=".to_owned()),
        Just("sslmode=require".to_owned()),
        "\\PC",
    ]
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(pieces in prop::collection::vec(piece(), 0..20)) {
        let text = pieces.concat();
        drop(PostgresBuilder::from_url(&text));
        drop(PostgresBuilder::from_url(&format!("postgres://{text}")));
    }

    /// A password of any characters, not encoded: read as it is, or an error that does not show it.
    #[test]
    fn no_error_shows_a_password(before in "[@:/?&=%,' a-z0-9]{0,5}", after in "[@:/?&= ,'a-z0-9]{0,5}") {
        let password = format!("{before}SECRET{after}");
        for url in [
            format!("postgres://u:{password}@h:1,i/app?sslmode=require"),
            format!("postgres://h/app?password={password}&sslmode=require"),
            format!("host=h password={password} sslmode=require"),
            format!("host=h password='{password}' sslmode=require"),
        ] {
            let shown = match PostgresBuilder::from_url(&url) {
                Ok(builder) => format!("{builder:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            prop_assert!(!shown.contains("SECRET"), "{}: {}", url, shown);
        }
    }

    #[test]
    fn an_encoded_password_is_read_as_it_was(password in "[^\0]{1,12}") {
        let encoded = percent_encoding::utf8_percent_encode(&password, percent_encoding::NON_ALPHANUMERIC);
        let builder = PostgresBuilder::from_url(&format!("postgres://u:{encoded}@h/app")).unwrap();
        let Source::Server(server) = builder.source else { panic!("a pool") };
        prop_assert_eq!(server.password, Some(Password(password)));
    }
}
