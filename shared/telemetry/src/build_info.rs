//! Which build a process is of.

use std::sync::LazyLock;

use metrics::{describe_gauge, gauge};

/// The version of the suite.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that the process was built from: `QUARTET_COMMIT` at the time of the build.
pub const COMMIT: &str = match option_env!("QUARTET_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Version and commit, as `--version` prints them.
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| match COMMIT {
        "unknown" => VERSION.to_owned(),
        commit => format!("{VERSION} ({commit})"),
    });
    &TEXT
}

/// 1, with the labels version and commit.
pub const QUARTET_BUILD_INFO: &str = "quartet_build_info";

pub(crate) fn record() {
    describe_gauge!(QUARTET_BUILD_INFO, "The build of the process: always 1.");
    gauge!(QUARTET_BUILD_INFO, "version" => VERSION, "commit" => COMMIT).set(1);
}
