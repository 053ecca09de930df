//! The suite's programs, built as the tests are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of the program `name`. The first call has cargo bring the programs up to date, so that no test looks at an old one.
pub fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER
        .get_or_init(build)
        .as_ref()
        .expect("the programs build; cargo says above why they do not")
        .join(name)
}

/// The folder of the whole project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the project")
}

/// Builds the programs into the folder that this test was built into: `target/debug`, from `target/debug/deps/e2e-…`.
fn build() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test
        .parent()
        .and_then(Path::parent)
        .expect("a test lies in target/debug/deps");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .args(["build", "--quiet", "--workspace", "--bins"])
        .current_dir(project());
    cargo.env(
        "CARGO_TARGET_DIR",
        folder.parent().expect("target/debug lies in target"),
    );
    // What cargo tells a test of its package would make build scripts that watch it run again, and rebuild what they belong to.
    for (name, _) in std::env::vars_os() {
        let told = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_CRATE_",
            "CARGO_BIN_",
            "CARGO_PRIMARY_",
        ];
        if name
            .to_str()
            .is_some_and(|name| told.iter().any(|prefix| name.starts_with(prefix)))
        {
            cargo.env_remove(&name);
        }
    }
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo runs");
    status.success().then(|| folder.to_owned())
}
