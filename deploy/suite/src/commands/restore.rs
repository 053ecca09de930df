//! `quartet restore`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use quartet_store::snapshot;

use crate::backup_folder::{self, Entry, MANIFEST, Manifest, Store};
use crate::data_folder;
use crate::settings::Settings;

/// What is restored.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder that `quartet backup` created.
    folder: PathBuf,
}

/// Copies a backup to where the settings have the data of the suite, which must be empty. Nothing is
/// written before the whole backup has proven sound.
pub(crate) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    let folder = &args.folder;
    let stores = backup_folder::stores(settings)?;
    let manifest = fs::read_to_string(folder.join(MANIFEST))
        .with_context(|| format!("{} is not a backup: reading {MANIFEST}", folder.display()))?;
    let manifest: Manifest = serde_json::from_str(&manifest).with_context(|| format!("reading {MANIFEST}"))?;
    check(folder, &manifest, &stores).await?;
    check_secret(settings, &manifest)?;

    let mut copies: Vec<(PathBuf, PathBuf)> = Vec::new();
    for store in &stores {
        copies.push((folder.join(store.file()), store.path.clone()));
    }
    if let Some(secret) = backup_folder::secret(settings) {
        copies.push((folder.join(data_folder::SECRET_FILE), secret));
    }
    for path in copies.iter().flat_map(|(_, to)| backup_folder::with_journals(to)) {
        ensure!(
            !path.exists(),
            "{} is there already: restore into an empty DATA_DIR",
            path.display()
        );
    }
    for (_, to) in backup_folder::folders(settings) {
        ensure!(
            backup_folder::is_empty(&to),
            "{} is not empty: restore into an empty DATA_DIR",
            to.display()
        );
    }
    data_folder::create(&settings.own.data_dir)?;
    for (name, to) in backup_folder::folders(settings) {
        backup_folder::copy_files(&folder.join(name), &to)?;
    }
    // All of it is beside its place before any of it is in its place.
    let mut staged = Vec::new();
    for (from, to) in &copies {
        if let Some(parent) = to.parent() {
            data_folder::create_private(parent)?;
        }
        let part = data_folder::stage_private(from, to)
            .with_context(|| format!("copying {} to {}", from.display(), to.display()))?;
        staged.push((part, to));
    }
    for (part, to) in staged {
        fs::rename(&part, to).with_context(|| format!("creating {}", to.display()))?;
    }
    println!(
        "restored the backup of {}, made by version {}",
        manifest.taken_at, manifest.version
    );
    Ok(())
}

/// Checks that the files of the backup are those that its manifest describes, that each store is
/// without damage, and that this program has their migrations.
async fn check(folder: &Path, manifest: &Manifest, stores: &[Store]) -> anyhow::Result<()> {
    for expected in &manifest.files {
        let name = &expected.name;
        let found = Entry::of(folder, name, expected.migration).with_context(|| format!("reading {name}"))?;
        ensure!(
            found.bytes == expected.bytes && found.sha256 == expected.sha256,
            "{name} has changed since the backup was made"
        );
    }
    for store in stores {
        let name = store.file();
        let Some(entry) = manifest.files.iter().find(|entry| entry.name == name) else {
            bail!("the backup has no {name}");
        };
        ensure!(
            entry.migration <= store.newest_migration(),
            "{name} is of version {}, which is newer than this program",
            manifest.version
        );
        ensure!(snapshot::is_intact(&folder.join(&name)).await?, "{name} is damaged");
    }
    Ok(())
}

/// Checks that the secret of the backup will be in force: what is in the stores is signed and encrypted
/// with it.
fn check_secret(settings: &Settings, manifest: &Manifest) -> anyhow::Result<()> {
    let has_secret = manifest.files.iter().any(|file| file.name == data_folder::SECRET_FILE);
    match (backup_folder::secret(settings), has_secret) {
        (Some(_), false) => bail!("the backup has no secret: set SERVICE_TOKEN_SECRET to that of the suite it is of"),
        (None, true) => bail!("the backup has a secret of its own: unset SERVICE_TOKEN_SECRET"),
        _ => Ok(()),
    }
}
