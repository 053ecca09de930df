//! Servers of this run alone, on ports and folders of their own; other servers of the machine are
//! never touched.

use std::ffi::OsString;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use quartet_clock::Clock;
use quartet_tests::process::Folder;

use super::node::NodeSpec;

const RABBITMQ: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A PostgreSQL server and its URL. It waits for the disk before it answers a commit, as in
/// production.
pub fn postgres(folder: &Folder) -> (NodeSpec, String) {
    let (programs, path) = (postgres_programs(), folder.path());
    let (port, password) = (free_port(1), Clock::system().new_id().simple().to_string());
    fs::write(path.join("password"), &password).expect("a file");
    give_folder_to(path, "postgres");
    let mut initdb = as_user("postgres");
    initdb.push(programs.join("initdb").into());
    let data = path.join("data").display().to_string();
    let arguments = [
        format!("--pgdata={data}"),
        format!("--pwfile={}", path.join("password").display()),
        "--username=test".into(),
        "--auth=scram-sha-256".into(),
        "--encoding=UTF8".into(),
        "--locale=C.UTF-8".into(),
        "--no-sync".into(),
    ];
    let output = Command::new(&initdb[0])
        .args(&initdb[1..])
        .args(arguments)
        .current_dir(path)
        .output();
    let output = output.expect("initdb runs");
    assert!(
        output.status.success(),
        "initdb: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut command = as_user("postgres");
    command.push(programs.join("postgres").into());
    command.extend(["-D".into(), data.into()]);
    for setting in [
        "listen_addresses=127.0.0.1".into(),
        format!("port={port}"),
        format!("unix_socket_directories={}", path.display()),
        "fsync=on".into(),
        "synchronous_commit=on".into(),
        "full_page_writes=on".into(),
        "max_connections=200".into(),
        "shared_buffers=64MB".into(),
    ] {
        command.extend(["-c".into(), OsString::from(setting)]);
    }
    let spec = NodeSpec {
        name: "postgres",
        command,
        folder: path.to_owned(),
        settings: Vec::new(),
        address: format!("127.0.0.1:{port}"),
        // The children of a killed server hold its shared memory for some milliseconds.
        may_exit_on_start: true,
    };
    (spec, format!("postgres://test:{password}@127.0.0.1:{port}"))
}

/// A RabbitMQ node, its URL, and the guard that ends its name server.
pub fn rabbitmq(folder: &Folder) -> (NodeSpec, String, Epmd) {
    let path = folder.path();
    let (port, password) = (free_port(3), Clock::system().new_id().simple().to_string());
    let config = format!(
        "default_user = test\n\
         default_pass = {password}\n\
         disk_free_limit.absolute = 50MB\n\
         vm_memory_high_watermark.relative = 0.3\n"
    );
    fs::write(path.join("rabbitmq.conf"), config).expect("a file");
    fs::write(path.join("plugins"), "[].").expect("a file");
    give_folder_to(path, "rabbitmq");
    let inside = |name: &str| path.join(name).display().to_string();
    let settings = [
        ("HOME", path.display().to_string()),
        ("RABBITMQ_NODENAME", format!("chaos{port}@localhost")),
        ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".into()),
        ("RABBITMQ_NODE_PORT", port.to_string()),
        ("RABBITMQ_DIST_PORT", (port + 1).to_string()),
        ("ERL_EPMD_PORT", (port + 2).to_string()),
        ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
        ("RABBITMQ_CONFIG_FILE", inside("rabbitmq")),
        ("RABBITMQ_CONF_ENV_FILE", inside("none")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", inside("plugins")),
        ("RABBITMQ_MNESIA_BASE", inside("data")),
        ("RABBITMQ_LOG_BASE", inside("log")),
        // As under systemd, the script execs the node instead of waiting for it, so a signal to it
        // reaches the node.
        ("NOTIFY_SOCKET", inside("none")),
    ];
    let mut command = as_user("rabbitmq");
    command.push(RABBITMQ.into());
    let spec = NodeSpec {
        name: "rabbitmq",
        command,
        folder: path.to_owned(),
        settings: settings.map(|(name, value)| (name.into(), value)).into(),
        address: format!("127.0.0.1:{port}"),
        // The name of a killed node stays registered for some milliseconds.
        may_exit_on_start: true,
    };
    let url = format!("amqp://test:{password}@127.0.0.1:{port}/%2f");
    (spec, url, Epmd::kill_at_exit(port + 2))
}

/// A Redis server and its URL. It keeps nothing over a restart.
pub fn redis(folder: &Folder) -> (NodeSpec, String) {
    let port = free_port(1);
    let arguments = [
        "--bind",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        &folder.path().display().to_string(),
    ]
    .map(OsString::from);
    let spec = NodeSpec {
        name: "redis",
        command: std::iter::once(OsString::from(redis_program()))
            .chain(arguments)
            .collect(),
        folder: folder.path().to_owned(),
        settings: Vec::new(),
        address: format!("127.0.0.1:{port}"),
        may_exit_on_start: true,
    };
    (spec, format!("redis://127.0.0.1:{port}/0"))
}

/// The program that the test scripts found, else the one of the machine.
fn redis_program() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "a parameter of a test run is no setting of the product"
    )]
    std::env::var(quartet_testkit::redis::PROGRAM).unwrap_or_else(|_| "/usr/bin/redis-server".into())
}

/// Ends Erlang's name server (epmd), which a node starts and leaves running, when this process
/// exits.
pub struct Epmd(#[expect(dead_code, reason = "its pipe closes with this process")] Child);

impl Epmd {
    fn kill_at_exit(port: u16) -> Self {
        let guard = Command::new("sh")
            .args(["-c", "read -r _; sleep 0.5; epmd -kill"])
            .env("ERL_EPMD_PORT", port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(guard.expect("sh runs"))
    }
}

/// The first of `count` free ports in a row, below those that the kernel gives to outgoing
/// connections, since a node needs the same port after each fault.
pub fn free_port(count: u16) -> u16 {
    loop {
        let drawn = Clock::system().new_id().as_u128() % 11_000;
        let first = 20_000 + u16::try_from(drawn).expect("below 11,000");
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if (first..first + count).all(free) {
            return first;
        }
    }
}

/// The folder of the programs of the newest PostgreSQL.
fn postgres_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let newest = folders
        .filter(|folder| folder.join("initdb").exists())
        .max_by_key(|folder| {
            let version = folder.parent().and_then(Path::file_name).and_then(|name| name.to_str());
            version
                .and_then(|version| version.parse::<f64>().ok())
                .map(f64::to_bits)
        });
    newest.expect("PostgreSQL is installed; `make test` and `make chaos` do it")
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.trim_ascii() == b"0"
}

/// The prefix that runs a command as `user`, where this process is root; the servers refuse to run
/// as root.
fn as_user(user: &str) -> Vec<OsString> {
    if !is_root() {
        return Vec::new();
    }
    let arguments = [
        "setpriv".to_owned(),
        format!("--reuid={user}"),
        format!("--regid={user}"),
        "--clear-groups".into(),
        "--".into(),
    ];
    arguments.map(OsString::from).into()
}

/// Gives a folder to `user`, where this process is root.
fn give_folder_to(folder: &Path, user: &str) {
    if is_root() {
        let status = Command::new("chown")
            .arg("-R")
            .arg(format!("{user}:{user}"))
            .arg(folder)
            .status();
        assert!(status.expect("chown runs").success());
    }
}
