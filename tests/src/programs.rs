//! The suite's programs, built as the tests are.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of the program `name`. The first call builds the programs, so that no test runs an old
/// one.
pub fn path(name: &str) -> PathBuf {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER
        .get_or_init(build)
        .as_ref()
        .expect("the programs build; the errors of cargo are above")
        .join(name)
}

/// The folder of the whole project.
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ lies in the project")
}

/// Builds the programs into the folder of this test binary: `target/debug`, from
/// `target/debug/deps/e2e-…`.
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
    // Build scripts depend on these variables, which cargo sets for a test: with them, it would
    // rebuild their packages.
    for (name, _) in std::env::vars_os() {
        let of_package = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_CRATE_",
            "CARGO_BIN_",
            "CARGO_PRIMARY_",
        ];
        if name
            .to_str()
            .is_some_and(|name| of_package.iter().any(|prefix| name.starts_with(prefix)))
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
