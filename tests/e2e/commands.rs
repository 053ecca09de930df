//! The administrative commands of `quartet`, as operators type them.

use std::process::Command;

use quartet_tests::{App, on_both_topologies, programs};
use serde_json::json;
use tempfile::TempDir;

on_both_topologies!(commands_can_be_repeated);

/// Rows that exist are left as they are, and counted.
async fn commands_can_be_repeated(app: App) {
    let suite = app.suite();
    let twice = |arguments: &[&str]| (suite.command(arguments), suite.command(arguments));
    let (first, second) = twice(&["create-tier", "commands"]);
    assert!(
        first.contains("was created") && second.contains("exists already"),
        "{first}{second}"
    );
    let superuser = [
        "create-superuser",
        "--username",
        "chief",
        "--email",
        "chief@example.org",
    ];
    let (first, second) = twice(&superuser);
    assert_ne!(first, second);
    assert!(second.contains("chief"), "{second}");

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rows.json");
    let name = quartet_tests::app::unique("i");
    let rows = json!({
        "users": [{"username": name, "email": format!("{name}@example.org"), "password": "a sentence of some length"}],
        "tags": [{"user": name, "name": "Home"}],
        "todos": [{"user": name, "title": "Water the plants", "priority": "high", "tags": ["home"]}],
    });
    std::fs::write(&file, rows.to_string()).unwrap();
    let (first, second) = twice(&["import", file.to_str().unwrap()]);
    assert_ne!(first, second);
    let login = json!({"username": name, "password": "a sentence of some length"});
    let token = app.post("/api/v1/auth/login", login).await.expect(200)["access_token"].clone();
    let owner = app.with_token(token.as_str().unwrap());
    let todos = owner.get("/api/v1/todos?tag=HOME").await.expect(200);
    assert_eq!(
        (&todos["total_count"], &todos["data"][0]["tags"][0]["name"]),
        (&json!(1), &json!("Home"))
    );

    let (first, second) = twice(&["seed", "--todos", "20"]);
    assert!(
        first.contains("and 20 todos") && second.contains("created 0 users and 0 todos"),
        "{first}{second}"
    );
}

/// `quartet` in an empty folder, with these settings and no other; whether it succeeded, and what it
/// printed.
fn quartet(folder: &TempDir, arguments: &[&str], settings: &[(&str, &str)]) -> (bool, String) {
    let output = Command::new(programs::path("quartet"))
        .args(arguments)
        .env_clear()
        .envs(settings.iter().copied())
        .current_dir(folder.path())
        .output()
        .expect("quartet runs");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), text.concat())
}

#[test]
fn stores_are_migrated_up_and_down() {
    let folder = TempDir::new().unwrap();
    let migrate = |arguments: &[&str]| {
        let (done, text) = quartet(&folder, &[&["migrate"], arguments].concat(), &[]);
        assert!(done, "{text}");
        text
    };
    let is_pending = |text: &str| text.lines().any(|line| line.ends_with(" pending"));
    assert!(!migrate(&["status"]).contains(" applied"));
    let up = migrate(&["up"]);
    assert!(up.contains(" applied") && !is_pending(&up), "{up}");
    let down = migrate(&["down", "--service", "todos"]);
    assert!(down.contains("todos: reverted") && is_pending(&down), "{down}");
    assert!(is_pending(&migrate(&["status"])));
    let up = migrate(&["up", "--service", "todos"]);
    assert!(up.contains("todos: 0008") && !is_pending(&up), "{up}");
}

#[test]
fn pending_migrations_are_warned_of_where_the_start_does_not_apply_them() {
    let folder = TempDir::new().unwrap();
    let quartet = |arguments: &[&str]| {
        let free = [("HTTP_ADDRESS", "127.0.0.1:0"), ("GRPC_ADDRESS", "127.0.0.1:0")];
        let settings = [&free[..], &[("DATABASE_MIGRATE_ON_START", "false")]].concat();
        quartet(&folder, arguments, &settings)
    };
    // Nothing is there yet, so that the start fails, and says why.
    let (done, text) = quartet(&[]);
    assert!(
        !done && text.contains("migrations of the store are pending") && text.contains("quartet migrate up"),
        "{text}"
    );
}

/// Where links in mails lead, and what checks ask, is where the suite is.
#[test]
fn the_port_of_the_suite_is_that_of_its_links() {
    let folder = TempDir::new().unwrap();
    let config = |settings: &[(&str, &str)]| quartet(&folder, &["config"], settings).1;
    let moved = config(&[("HTTP_ADDRESS", "127.0.0.1:8123")]);
    for line in [
        "PUBLIC_URL=http://localhost:8123",
        "HEALTH_ADDRESS=http://127.0.0.1:8123",
    ] {
        assert!(moved.contains(line), "{line}: {moved}");
    }
    let set = config(&[
        ("HTTP_ADDRESS", "127.0.0.1:8123"),
        ("PUBLIC_URL", "https://example.org"),
    ]);
    assert!(set.contains("PUBLIC_URL=https://example.org"), "{set}");
    assert!(config(&[]).contains("PUBLIC_URL=http://localhost:8000"));
}

#[test]
fn a_revision_is_the_files_of_the_next_migration() {
    let folder = TempDir::new().unwrap();
    let project = programs::project();
    let copy = |from: &str| {
        let to = folder.path().join(from);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(project.join(from), to).unwrap();
    };
    copy("scripts/revision.sh");
    copy("scripts/needs.sh");
    for database in ["postgres", "sqlite"] {
        let migrations = folder.path().join(format!("services/todos/migrations/{database}"));
        std::fs::create_dir_all(&migrations).unwrap();
        std::fs::write(migrations.join("0008_before.up.sql"), "select 1").unwrap();
    }
    let run = |arguments: &[&str]| {
        let script = folder.path().join("scripts/revision.sh");
        let output = Command::new("bash").arg(script).args(arguments).output().unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let (done, text) = run(&["todos", "colours"]);
    assert!(done, "{text}");
    let made: Vec<_> = text.lines().collect();
    assert_eq!(made.len(), 4, "{text}");
    for file in made {
        assert!(file.contains("/0009_colours."), "{file}");
        assert_eq!(std::fs::metadata(folder.path().join(file)).unwrap().len(), 0);
    }
    assert!(!run(&["nothing", "colours"]).0 && !run(&["todos", "No Name"]).0);
}

#[test]
fn settings_are_shown_with_what_the_start_would_refuse() {
    let folder = TempDir::new().unwrap();
    let config = |settings: &[(&str, &str)]| quartet(&folder, &["config"], settings);
    let (done, text) = config(&[("ADMIN_PASSWORD", "correct horse"), ("HTTP_ADDRESS", "127.0.0.1:8123")]);
    assert!(
        done && text.contains("127.0.0.1:8123") && !text.contains("correct horse"),
        "{text}"
    );

    for (name, value) in [
        ("HTTP_ADDRESS", "nowhere"),
        ("SERVICE_TOKEN_SECRET", "short"),
        ("CORS_ALLOW_ORIGINS", "example.org/path"),
        ("REDIS_URL", "http://cache"),
        ("RATE_LIMIT_USER", "many"),
    ] {
        let (done, text) = config(&[(name, value)]);
        assert!(
            !done && text.contains("would refuse") && text.contains(name),
            "{name}: {text}"
        );
        assert!(
            text.contains("GRPC_ADDRESS"),
            "the settings are shown all the same: {text}"
        );
    }
    let (done, text) = config(&[("SECRET_KEY", "x"), ("POSTGRES_SERVER", "db")]);
    assert!(
        done && text.contains("SECRET_KEY is not read") && text.contains("POSTGRES_SERVER is not read"),
        "{text}"
    );
    assert!(
        !folder.path().join("data").exists(),
        "looking at settings makes nothing"
    );
}
