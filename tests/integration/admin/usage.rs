//! Exit codes, help, and what is never said.

use super::place::{Place, program, said};

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
    let mut command = program("man --folder .");
    assert!(command.current_dir(place.folder.path()).output().await.unwrap().status.success());
    for name in COMMANDS {
        let page = place.folder.path().join(format!("sqlbypass-{name}.1"));
        assert!(std::fs::read_to_string(page).unwrap().contains("Examples"), "{name}");
    }
}
