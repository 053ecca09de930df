//! The folder of all data of the suite.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use quartet_clock::Clock;
use quartet_config::Source;

/// Name of the file that holds the secret of service tokens.
pub(crate) const SECRET_FILE: &str = "service-token-secret";

/// Sets the paths of the suite's stores, mails and files to `folder`, unless a layer sets them.
pub(crate) fn set_defaults(source: &mut Source, folder: &Path) {
    let folder = folder.display();
    let mut set = |name: &str, value: String| source.set_default(name, value, "DATA_DIR");
    for service in ["auth", "users", "todos", "jobs"] {
        set(
            &format!("{}_DATABASE_URL", service.to_ascii_uppercase()),
            format!("sqlite://{folder}/{service}.db"),
        );
    }
    set("MAIL_DIR", format!("{folder}/mail"));
    set("JOBS_FILES_DIR", format!("{folder}/files"));
    set("LOCAL_BROKER_PATH", format!("{folder}/broker.db"));
}

/// The secret of service tokens; generated at the first start and readable by the suite's user
/// only.
pub(crate) fn secret(folder: &Path) -> anyhow::Result<String> {
    create(folder)?;
    let path = folder.join(SECRET_FILE);
    if !path.exists() {
        write_once(&path, &Clock::system().new_token::<32>()).with_context(|| format!("writing {}", path.display()))?;
    }
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// Writes a file atomically: it is complete or absent, whenever the process ends. Of two processes
/// that write it at once, one wins.
fn write_once(path: &Path, text: &str) -> std::io::Result<()> {
    let part = path.with_extension(format!("part-{}", std::process::id()));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&part, path);
    fs::remove_file(&part)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Creates the folder, for the suite's user only, unless it exists.
pub(crate) fn create(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("DATA_DIR: cannot create the folder {}", folder.display()))
}

/// Creates a folder for this user only, unless it exists.
pub(crate) fn create_private(folder: &Path) -> anyhow::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))
}

/// Copies a file to a place beside `to`, for this user only, from where it can be moved there in one
/// step. Returns that place.
pub(crate) fn stage_private(from: &Path, to: &Path) -> std::io::Result<PathBuf> {
    let part = to.with_extension("part");
    let mut source = fs::File::open(from)?;
    let mut target = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    std::io::copy(&mut source, &mut target)?;
    target.sync_all()?;
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_generated_once() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a/b");
        let first = secret(&folder).unwrap();
        assert!(first.len() >= 32);
        assert_eq!(secret(&folder).unwrap(), first);
    }
}
