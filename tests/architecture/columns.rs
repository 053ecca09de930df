//! The format of the sources: no line over 120 columns, and no file that rustfmt does not see.

use std::fs;
use std::path::PathBuf;

use super::{root, sources};

/// Columns of a line at the most. rustfmt keeps to it where it can, but splits no text and no
/// comment.
const MAX_COLUMNS: usize = 120;

/// Every source of the workspace: its path from the root, and its text.
fn files() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["deploy", "gateway", "services", "shared", "tests"] {
        sources(&root().join(folder), &mut files);
    }
    assert!(files.len() > 400, "the workspace was read");
    let relative = |file: PathBuf| {
        let path = file
            .strip_prefix(root())
            .expect("a path below the root")
            .display()
            .to_string();
        (path, fs::read_to_string(file).expect("a source"))
    };
    files.into_iter().map(relative).collect()
}

#[test]
fn no_line_is_over_120_columns() {
    let mut long = Vec::new();
    for (path, text) in files() {
        for (index, line) in text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > MAX_COLUMNS {
                long.push(format!("{path}:{}: {columns} columns", index + 1));
            }
        }
    }
    assert!(
        long.is_empty(),
        "{} lines are too long:\n{}",
        long.len(),
        long.join("\n")
    );
}

#[test]
fn rustfmt_sees_every_file() {
    // rustfmt follows `mod`; a file that is included is formatted by nobody.
    let included = concat!("include", "!(");
    let generated = concat!("include", "!(concat!(env!(\"OUT_DIR\")");
    let mut unseen = Vec::new();
    for (path, text) in files() {
        for (index, line) in text.lines().enumerate() {
            if line.contains(included) && line.contains(".rs\"") && !line.contains(generated) {
                unseen.push(format!("{path}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert!(unseen.is_empty(), "sources are included:\n{}", unseen.join("\n"));
}
