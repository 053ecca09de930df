//! What is in a backup of the suite, and where it stands.
//!
//! ```text
//! manifest.json          what is in it: sizes, digests, the newest migration of each store
//! auth.db … broker.db    the databases, as they were at one moment
//! service-token-secret   the secret of service tokens, which signs links and mail tokens too
//! files/, mail/          the files of jobs, and the mails that were written as files
//! ```

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use quartet_store::Migrations;
use quartet_store::database::DatabaseUrl;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data_folder;
use crate::settings::Settings;

/// Name of the file that describes the backup.
pub(crate) const MANIFEST: &str = "manifest.json";

/// What is in a backup.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The version of the suite that made it.
    pub(crate) version: String,
    /// When it was made (RFC 3339).
    pub(crate) taken_at: String,
    /// Its files that are not in folders.
    pub(crate) files: Vec<Entry>,
}

/// A file of a backup.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its name in the backup.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub(crate) sha256: String,
    /// The number of its newest migration, if it is a store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) migration: Option<i64>,
}

impl Entry {
    /// The entry of a file that is in `folder`.
    pub(crate) fn of(folder: &Path, name: &str, migration: Option<i64>) -> io::Result<Self> {
        let mut file = fs::File::open(folder.join(name))?;
        let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            digest.update(&buffer[..read]);
            bytes += read as u64;
        }
        Ok(Self {
            name: name.to_owned(),
            bytes,
            sha256: digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
            migration,
        })
    }
}

/// A database of the suite.
pub(crate) struct Store {
    /// The service, or `broker`.
    pub(crate) name: &'static str,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its migrations, if a service has it.
    pub(crate) migrations: Option<Migrations>,
}

impl Store {
    /// The name of its file in a backup.
    pub(crate) fn file(&self) -> String {
        format!("{}.db", self.name)
    }

    /// The number of the newest migration that this program has.
    pub(crate) fn newest_migration(&self) -> Option<i64> {
        let migrations = self.migrations?.sqlite.iter();
        migrations.map(|migration| migration.version).max()
    }
}

/// The databases of the suite in one process.
///
/// # Errors
/// When one is on a server, which has backups of its own.
pub(crate) fn stores(settings: &Settings) -> anyhow::Result<Vec<Store>> {
    let mut stores = Vec::new();
    for (name, url, migrations) in settings.stores() {
        let DatabaseUrl::Sqlite(path) = url else {
            bail!("the store of {name} is on PostgreSQL: docs/operations.md, \"Backups\", describes what to do there");
        };
        stores.push(Store {
            name,
            path: path.into(),
            migrations: Some(migrations),
        });
    }
    if settings.messaging.rabbitmq_url.is_none() {
        stores.push(Store {
            name: "broker",
            path: settings.messaging.local_broker_path.clone(),
            migrations: None,
        });
    }
    Ok(stores)
}

/// The folders with files, by their name in a backup.
pub(crate) fn folders(settings: &Settings) -> [(&'static str, PathBuf); 2] {
    [
        ("files", settings.jobs.own.files_dir.clone()),
        ("mail", settings.jobs.own.mail_dir.clone()),
    ]
}

/// The file with the secret of service tokens; `None` where a setting has it.
pub(crate) fn secret(settings: &Settings) -> Option<PathBuf> {
    let is_generated = settings.rpc.service_token_secret.is_none();
    is_generated.then(|| settings.own.data_dir.join(data_folder::SECRET_FILE))
}

/// The path of a database, and those of what SQLite keeps beside it: a journal that is left of another
/// database would be replayed into this one.
pub(crate) fn with_journals(path: &Path) -> Vec<PathBuf> {
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    ["", "-wal", "-shm", "-journal"].map(beside).into()
}

/// Whether there is nothing in the folder, or no folder.
pub(crate) fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

/// Copies the files of a folder, and of those in it, if it is there. One that is deleted meanwhile
/// has expired, and is left out.
pub(crate) fn copy_files(from: &Path, to: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("reading {}", from.display()))?,
    };
    data_folder::create_private(to)?;
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_files(&entry.path(), &target)?;
            continue;
        }
        match fs::copy(entry.path(), &target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => {
                copied.with_context(|| format!("copying {}", entry.path().display()))?;
            }
        }
    }
    Ok(())
}
