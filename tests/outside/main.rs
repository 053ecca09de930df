//! Third-party tools against a running suite: a browser, a gRPC client, and a fuzzer of the OpenAPI
//! description.

use std::process::{Command, Output};

use quartet_tests::{App, programs};
use serde_json::{Value, json};

#[tokio::test]
#[ignore = "needs a browser: make test"]
async fn the_docs_page_signs_in_and_executes_an_operation() {
    let app = App::embedded();
    let ada = app.register().await;
    #[expect(clippy::disallowed_methods, reason = "a test's browser is no setting of the product")]
    let browser = std::env::var("TEST_BROWSER").expect("make test finds a browser and sets TEST_BROWSER");
    let script = programs::project().join("tests/tools/docs_page.mjs");
    let address = &app.suite().http;
    let output = run(Command::new("node")
        .arg(script)
        .args([&browser, address, &ada.username, &ada.password]))
    .await;
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", output_text(&output)));
    assert_eq!(
        seen,
        json!({"status": "200", "username": ada.username, "faults": []}),
        "{}",
        output_text(&output)
    );
}

#[tokio::test]
#[ignore = "needs buf: make test"]
async fn a_grpc_client_lists_describes_and_calls_by_reflection() {
    let app = App::embedded();
    let ada = app.register().await;
    let base = format!("http://{}", app.suite().grpc["todos"]);
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("buf");
        command
            .args(["curl", "--protocol", "grpc", "--http2-prior-knowledge"])
            .args(arguments);
        command.args(["-H", &format!("authorization: Bearer {}", ada.access_token)]);
        run_owned(command)
    };
    let methods = curl(&["--list-methods", &base]).await;
    let methods = String::from_utf8_lossy(&methods.stdout).into_owned();
    for method in [
        "quartet.todos.v1.TodoService/CreateTodo",
        "quartet.auth.v1.AuthService/Login",
        "quartet.users.v1.UserService/GetMe",
    ] {
        assert!(methods.lines().any(|line| line == method), "{method} in {methods}");
    }
    let call = |method: &str| format!("{base}/{method}");
    let created = curl(&[
        "-d",
        r#"{"title": "By reflection"}"#,
        &call("quartet.todos.v1.TodoService/CreateTodo"),
    ])
    .await;
    let created: Value =
        serde_json::from_slice(&created.stdout).unwrap_or_else(|_| panic!("{}", output_text(&created)));
    assert_eq!(created["title"], "By reflection");
    let path = format!("/api/v1/todos/{}", created["id"].as_str().expect("an id"));
    assert_eq!(ada.get(&path).await.expect(200)["title"], "By reflection");

    let health = curl(&[
        "-d",
        r#"{"service": "quartet.todos.v1.TodoService"}"#,
        &call("grpc.health.v1.Health/Check"),
    ])
    .await;
    let health: Value = serde_json::from_slice(&health.stdout).unwrap_or_else(|_| panic!("{}", output_text(&health)));
    assert_eq!(health["status"], "SERVING");
    let refused = curl(&[
        "-d",
        r#"{"colour": "red"}"#,
        &call("quartet.todos.v1.TodoService/CreateTodo"),
    ])
    .await;
    assert!(!refused.status.success());
}

#[tokio::test]
#[ignore = "needs schemathesis: make test"]
async fn the_suite_conforms_to_its_description_for_a_user() {
    schemathesis("user").await;
}

#[tokio::test]
#[ignore = "needs schemathesis: make test"]
async fn the_suite_conforms_to_its_description_for_a_superuser() {
    schemathesis("superuser").await;
}

/// Two generators make clients of the description, which compile, and each makes a call.
#[tokio::test]
#[ignore = "needs generators of clients: make test"]
async fn clients_are_generated_from_the_description_and_used() {
    let app = App::embedded();
    let ada = app.register().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let address = format!("http://{}", app.suite().http);
    let description = folder.path().join("openapi.json");
    std::fs::write(&description, app.get("/openapi.json").await.expect(200).to_string()).expect("it is written");
    let tools = programs::project().join("tests/tools/clients");
    let expected = json!({"title": "By a generated client", "priority": "PRIORITY_HIGH", "completed": false});
    let step = async |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder.path());
        let output = run(&mut command).await;
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            output_text(&output)
        );
        output
    };
    let used = |output: &Output| -> Value {
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", output_text(output)))
    };

    // Modules are looked for beside the sources.
    #[expect(clippy::disallowed_methods, reason = "a test's tools are no setting of the product")]
    let modules = std::env::var("NODE_PATH").expect("make test sets NODE_PATH");
    std::os::unix::fs::symlink(modules, folder.path().join("node_modules")).expect("a link");
    std::fs::write(folder.path().join("package.json"), r#"{"type": "module"}"#).expect("it is written");
    std::fs::copy(tools.join("use.ts"), folder.path().join("use.ts")).expect("it is copied");
    step("openapi-typescript", &["openapi.json", "--output", "api.d.ts"]).await;
    let options = [
        "--strict",
        "--target",
        "es2022",
        "--module",
        "nodenext",
        "--moduleResolution",
        "nodenext",
    ];
    step("tsc", &[&options[..], &["--lib", "es2022,dom", "use.ts"]].concat()).await;
    let output = step("node", &["use.js", &address, &ada.access_token]).await;
    assert_eq!(used(&output), expected);

    let package = "quartet_client";
    let generate = [
        "generate",
        "--path",
        "openapi.json",
        "--meta",
        "none",
        "--output-path",
        package,
    ];
    let output = step("openapi-python-client", &generate).await;
    // What has no file of its own in the description is left out, and nothing else.
    let text = output_text(&output);
    assert!(!text.contains("will not be generated"), "{text}");
    step("python3", &["-m", "compileall", "-q", package]).await;
    std::fs::copy(tools.join("use.py"), folder.path().join("use.py")).expect("it is copied");
    let output = step("python3", &["use.py", &address, &ada.access_token]).await;
    assert_eq!(used(&output), expected);
}

/// Runs schemathesis on every operation as a user of this role; on a suite of its own, since a
/// superuser who calls everything deletes other users.
async fn schemathesis(role: &str) {
    let app = App::own(&[]);
    let folder = programs::project().join("tests/tools");
    let address = &app.suite().http;
    let mut command = Command::new("schemathesis");
    command.arg("--config-file").arg(folder.join("schemathesis.toml"));
    let description = format!("http://{address}/openapi.json");
    // In one thread: it has Python parse sources, which versions before 3.11.5 cannot do in two at once
    // (python/cpython#106905).
    command.args(["run", &description, "--checks", "all", "--workers", "1"]);
    app.suite()
        .in_environment(&mut command)
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", &folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("TEST_ROLE", role)
        .env("TEST_ADDRESS", address)
        .env("TEST_OPERATOR", programs::path("quartet"));
    let output = run(&mut command).await;
    assert!(output.status.success(), "{}", output_text(&output));
    println!("{}", output_text(&output));
}

async fn run(command: &mut Command) -> Output {
    run_owned(std::mem::replace(command, Command::new("true"))).await
}

/// Runs a command to its end, on a thread of its own.
async fn run_owned(mut command: Command) -> Output {
    let name = command.get_program().to_string_lossy().into_owned();
    let done = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("the thread ends");
    done.unwrap_or_else(|error| panic!("{name}: {error}; make test installs it"))
}

fn output_text(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}
