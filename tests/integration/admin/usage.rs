//! Exit codes, help, and what is never said.

use std::process::Stdio;
use std::time::Duration;

use super::place::{Place, program, said};

crate::admin::everywhere!(what_a_server_refuses_is_a_failure);

const COMMANDS: [&str; 12] = [
    "create", "trim", "clear", "upgrade", "convert", "stats", "list", "revoke", "backfill", "show",
    "doctor", "bench",
];

#[tokio::test]
async fn the_help_of_each_command_has_an_example() {
    for command in COMMANDS {
        let output = program(&format!("{command} --help")).output().await.unwrap();
        assert!(output.status.success());
        let help = said(&output);
        assert!(help.contains(&format!("Examples:\n  sqlbypass {command}")), "{help}");
        assert!(help.contains("[env: DATABASE_URL]"), "{help}");
    }
}

#[tokio::test]
async fn wrong_use_is_two_and_failure_is_one() {
    let place = Place::sqlite().await.unwrap();
    for (arguments, code) in [
        ("trim", 2),
        ("trim --database nonsense://x", 2),
        ("trim --database sqlite://none.db --batch 0", 2),
        ("trim --database sqlite://none.db --for 1w", 2),
        ("convert --database sqlite://none.db --to yaml", 2),
        ("create --database sqlite://none.db --print --migration x.sql", 2),
        ("create --database sqlite://none.db --dry-run", 2),
        ("list --database sqlite://none.db --scan", 2),
        ("revoke --database sqlite://none.db --all", 2),
        ("revoke --database sqlite://none.db --user 1 --all --row 2", 2),
        ("backfill --database sqlite://none.db", 2),
        ("create --database sqlite://none.db --add-user-column --print", 2),
        ("create --database sqlite://none.db --add-user-column --user-column user_id", 2),
        ("doctor --database sqlite://none.db --user-key login", 2),
        ("trim --database sqlite://none.db", 1),
        ("revoke --database sqlite://none.db --user 1 --all", 1),
        ("upgrade --database postgres://app:sentinel@127.0.0.1:1/x", 1),
        ("clear --yes --database mysql://app:sentinel@127.0.0.1:1/x", 1),
    ] {
        let mut command = program(arguments);
        let output = command.current_dir(place.folder.path()).output().await.unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {said}");
        assert!(!said.is_empty() && !said.contains("sentinel"), "{arguments}: {said}");
        assert!(output.stdout.is_empty(), "{arguments}: {said}");
    }
    assert!(!place.folder.path().join("none.db").exists());
    let output = program("create --database sqlite://none.db --dry-run").output().await.unwrap();
    assert!(said(&output).contains("--print"), "{}", said(&output));
}

/// One object on standard output wherever a command fails, and nothing there where it was misused.
#[tokio::test]
async fn programs_are_told_what_failed() {
    let place = Place::sqlite().await.unwrap();
    for command in COMMANDS {
        let more = match command {
            "clear" => "--yes",
            "convert" => "--to json",
            "revoke" => "--user 1 --all",
            "backfill" => "--user-column user_id",
            "show" => "--row 1",
            _ => "",
        };
        let nowhere = "--database postgres://app:sentinel@127.0.0.1:1/x --format json";
        let output = program(&format!("{command} {more} {nowhere}")).output().await.unwrap();
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{command}: {told}");
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        // The doctor's answer is what it found.
        if command != "doctor" {
            let error = answer["error"].as_str().unwrap();
            let line = String::from_utf8(output.stderr).unwrap();
            assert_eq!(line, format!("sqlbypass: {error}\n"), "{command}");
        }
        assert!(!told.contains("sentinel"), "{told}");
    }
    place.store().await.close().await.unwrap();
    let answer = place.json_of(1, "show --row 999").await;
    assert_eq!(
        answer,
        serde_json::json!({"error": "there is no row of this name; sqlbypass list tells the rows"})
    );
}

#[tokio::test]
async fn a_number_below_zero_is_a_wrong_number() {
    for (arguments, told) in [
        ("trim --days -5", "'-5' for '--days <DAYS>'"),
        ("stats --days -5", "'-5' for '--days <DAYS>'"),
        ("list --limit -1", "'-1' for '--limit <LIMIT>'"),
        ("trim --share -20", "'-20' for '--share <PERCENT>'"),
        ("trim --for -10", "write a whole number"),
        ("bench --seconds -1", "'-1' for '--seconds <SECONDS>'"),
    ] {
        let output = program(arguments).args(["--database", "sqlite://none.db"]).output();
        let output = output.await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(told), "{}", said(&output));
    }
}

async fn what_a_server_refuses_is_a_failure(place: Place) {
    if place.is_sqlite() {
        return;
    }
    place.store().await.close().await.unwrap();
    let (scheme, rest) = place.url.split_once("://").unwrap();
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let url = format!("{scheme}://nobody_here:sentinel@{rest}");
    for command in ["stats", "list", "trim", "clear --yes", "upgrade", "create", "doctor"] {
        let output = program(command).args(["--format", "json", "--database", &url]).output();
        let output = output.await.unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}: {}", said(&output));
        assert!(output.stdout.starts_with(b"{"), "{command}: {}", said(&output));
        assert!(!said(&output).contains("sentinel"), "{command}: {}", said(&output));
    }
}

/// A variable that is not set is no user, and no database.
#[tokio::test]
async fn the_empty_text_names_nobody() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    for arguments in [&["revoke", "--all", "--user", ""][..], &["list", "--user", ""]] {
        let output = program("").args(arguments).args(["--database", &place.url]).output();
        let output = output.await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains("the user is empty"), "{}", said(&output));
    }
    let output = program("stats").args(["--database", ""]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("empty"), "{}", said(&output));
}

/// Whatever stands in the wrong place may be a password or a key.
#[tokio::test]
async fn what_was_typed_is_not_echoed() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    let url = "postgres://app:sentinel@db/shop";
    let odd = "mysql://app:s e\"n'tinel@db/shop";
    let key = &format!("k1:sentinel{}", "6b".repeat(20));
    let id = &format!("sentinel{}", "6b".repeat(12));
    let short = "sentinel";
    let of_database = ["--database", &place.url];
    for arguments in [
        &["stats", "--svg", url][..],
        &["stats", "--svg", odd],
        &["serve", "--listen", url],
        &["serve", "--listen", odd],
        &["serve", &format!("--listen={url}")],
        &["create", "--migration", url],
        &["list", "--table", key],
        &["list", "--table", id],
        &["list", "--table", odd],
        &["backfill", "--user-column", id],
        &["list", "--data-column", url],
        &["trim", "--primary-key", key],
        &["list", short],
        &["stats", "--", short],
        &["trim", "--days", short],
        &["trim", "--for", short],
        &["bench", "--seconds", short],
        &["convert", "--to", short],
        &["list", "--format", short],
        &["list", "--serializer", short],
        &["show", "--row", short],
        &["completions", short],
        &["man", "--folder", &format!("/dev/null/{url}")],
        &["completions", "bash", short],
    ] {
        let mut command = program("");
        command.current_dir(place.folder.path()).args(arguments);
        let has_database = !["serve", "completions", "man"].contains(&arguments[0]);
        let more = if has_database && !arguments.contains(&"--") { &of_database[..] } else { &[] };
        let output = tokio::time::timeout(Duration::from_secs(60), command.args(more).output());
        let output = output.await.unwrap_or_else(|_| panic!("{arguments:?} go on")).unwrap();
        let told = said(&output);
        assert_ne!(output.status.code(), Some(0), "{arguments:?}: {told}");
        assert!(!told.contains("inel") && !told.contains("6b6b"), "{arguments:?}: {told}");
        let ways = ["not shown", "the name is a URL", "no row of this name"];
        assert!(ways.iter().any(|way| told.contains(way)), "{told}");
    }
    assert!(said(&program(short).output().await.unwrap()).contains("unrecognized subcommand"));
    // What is plainly harmless is repeated, for people to find it.
    for (arguments, told) in [
        ("list --fromat json", "'--fromat'"),
        ("trim --days 0", "'0' for '--days"),
        ("list --table my_sessions_of_some_old_application_2", "my_sessions_of_some_old_app"),
        ("stats --svg no/such/folder.svg", "no/such/folder.svg"),
        ("create --migration no/such/folder.sql", "no/such/folder.sql"),
    ] {
        let said = said(&place.run(arguments).await);
        assert!(said.contains(told), "{said}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told_how_to_make() {
    let place = Place::sqlite().await.unwrap();
    for command in ["trim", "list"] {
        let mut command = program(&format!("{command} --database sqlite://none.db"));
        let output = command.current_dir(place.folder.path()).output().await.unwrap();
        assert!(said(&output).contains("sqlbypass create"), "{}", said(&output));
    }
}

/// As `head` does, which is no failure of what was asked.
#[tokio::test]
async fn whoever_has_heard_enough_may_leave() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    for task in ["list", "stats", "doctor", "create --print", "trim --format json"] {
        let mut command = place.command(task);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().await.unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !told.contains("pipe"), "{task}: {told}");
    }
}

#[tokio::test]
async fn stats_are_told_also_where_their_picture_cannot_be_drawn() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    let answer = place.json_of(1, "stats --svg no/such/folder.svg").await;
    assert_eq!(answer["rows"], 0, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("no/such/folder.svg"), "{answer}");
    let told = said(&place.run("stats --svg no/such/folder.svg").await);
    assert!(told.contains("0 sessions") && !told.contains("wrote"), "{told}");
}

/// As Rails names its adapter, and as a file of settings may have it.
#[tokio::test]
async fn a_url_of_rails_with_a_lines_end_is_taken() {
    let place = Place::sqlite().await.unwrap();
    place.store().await.close().await.unwrap();
    let path = place.url.strip_prefix("sqlite://").unwrap();
    for url in
        [format!("sqlite3:{path}"), format!(" {}\n", place.url), format!("sqlite3://{path}\r\n")]
    {
        for task in ["stats", "list", "trim --dry-run", "doctor"] {
            let output = program(task).env("DATABASE_URL", &url).output().await.unwrap();
            assert!(output.status.success(), "{url:?} {task}: {}", said(&output));
        }
    }
}

#[tokio::test]
async fn the_database_may_stand_in_the_environment() {
    let place = Place::sqlite().await.unwrap();
    let mut command = program("create --format json");
    let output = command.env("DATABASE_URL", &place.url).output().await.unwrap();
    assert_eq!(said(&output), "{\"created\":true}\n");
}

#[tokio::test]
async fn shells_and_manuals_know_every_command() {
    let place = Place::sqlite().await.unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = program(&format!("completions {shell}")).output().await.unwrap();
        let text = said(&output);
        assert!(
            output.status.success() && COMMANDS.iter().all(|name| text.contains(name)),
            "{text}"
        );
    }
    let page = said(&program("man").output().await.unwrap());
    assert!(page.contains(".TH sqlbypass 1"), "{page}");
    let mut command = program("man --folder share/man1");
    let output = command.current_dir(place.folder.path()).output().await.unwrap();
    assert_eq!(said(&output), "wrote the pages of all commands into share/man1\n");
    for name in COMMANDS {
        let page = place.folder.path().join(format!("share/man1/sqlbypass-{name}.1"));
        assert!(std::fs::read_to_string(page).unwrap().contains("Examples"), "{name}");
    }
}
