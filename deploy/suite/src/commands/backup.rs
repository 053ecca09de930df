//! `quartet backup`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use quartet_clock::Clock;
use quartet_store::snapshot;
use quartet_telemetry::build_info;
use time::format_description::well_known::Rfc3339;

use crate::backup_folder::{self, Entry, MANIFEST, Manifest};
use crate::data_folder;
use crate::settings::Settings;

/// Where the backup goes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder to create for it.
    folder: PathBuf,
}

/// Copies the data of the suite in one process, whether it is running or not. The folder is complete
/// or absent.
pub(crate) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    // Without a slash at the end, behind which `.part` would be a folder within.
    let folder: &PathBuf = &args.folder.components().collect();
    ensure!(!folder.exists(), "{} exists already", folder.display());
    let mut part = folder.clone().into_os_string();
    part.push(".part");
    let part = PathBuf::from(part);
    ensure!(
        !part.exists(),
        "{} is there: another backup is being written, or one was interrupted; delete it then",
        part.display()
    );
    data_folder::create_private(&part)?;
    let taken = take(settings, &part).await;
    let manifest = match taken {
        Ok(manifest) => manifest,
        Err(error) => {
            let _ = fs::remove_dir_all(&part);
            return Err(error);
        }
    };
    fs::rename(&part, folder).with_context(|| format!("creating {}", folder.display()))?;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    println!("{}: {} files of {bytes} bytes", folder.display(), manifest.files.len());
    Ok(())
}

async fn take(settings: &Settings, part: &std::path::Path) -> anyhow::Result<Manifest> {
    let stores = backup_folder::stores(settings)?;
    let taken_at = Clock::system().now().format(&Rfc3339)?;
    let missing = stores.iter().find(|store| !store.path.exists());
    if let Some(missing) = missing {
        anyhow::bail!("there is no {}: the suite has not run here", missing.path.display());
    }
    let copies: Vec<_> = stores
        .iter()
        .map(|store| (store.path.clone(), part.join(store.file())))
        .collect();
    let paused = snapshot::copy(&copies).await.context("copying the stores")?;
    println!("writes waited for {} ms", paused.as_millis());
    let mut files = Vec::new();
    for store in &stores {
        let migration = match store.migrations {
            Some(_) => snapshot::newest_migration(&part.join(store.file())).await?,
            None => None,
        };
        files.push(Entry::of(part, &store.file(), migration)?);
    }
    if let Some(secret) = backup_folder::secret(settings) {
        fs::copy(&secret, part.join(data_folder::SECRET_FILE))
            .with_context(|| format!("copying {}", secret.display()))?;
        files.push(Entry::of(part, data_folder::SECRET_FILE, None)?);
    }
    for (name, from) in backup_folder::folders(settings) {
        backup_folder::copy_files(&from, &part.join(name))?;
    }
    let manifest = Manifest {
        version: build_info::VERSION.to_owned(),
        taken_at,
        files,
    };
    fs::write(part.join(MANIFEST), serde_json::to_string_pretty(&manifest)?)?;
    Ok(manifest)
}
