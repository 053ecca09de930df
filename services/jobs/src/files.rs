//! The files that jobs make and read, one per job, in a folder that every process of the service
//! shares.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use uuid::Uuid;

/// Pieces in which files are read and written.
const PIECE: usize = 64 * 1_024;
/// A file without a job is only then a stray when it has lain for so long: an upload is a file
/// before it is a job.
const STRAY_AFTER: Duration = Duration::from_secs(86_400);

/// The folder of files. Cheap to clone.
#[derive(Clone)]
pub struct Files {
    folder: PathBuf,
}

/// A file in the making. It appears under its name once it is whole; one that is dropped before
/// leaves nothing.
pub struct Writer {
    /// Each write to a file is work for another thread, far more than a row of it is worth.
    file: BufWriter<File>,
    unfinished: PathBuf,
    finished: PathBuf,
    written: u64,
    done: bool,
}

impl Files {
    /// Files in `folder`, which is made when the first file comes.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Begins the file of a job. `attempt` distinguishes two writers of one job.
    pub async fn create(&self, job: Uuid, attempt: i16) -> std::io::Result<Writer> {
        private_folder(&self.folder)?;
        let unfinished = self.folder.join(format!(".{job}.{attempt}.part"));
        Ok(Writer {
            file: BufWriter::with_capacity(PIECE, File::from_std(private_file(&unfinished)?)),
            unfinished,
            finished: self.path(job),
            written: 0,
            done: false,
        })
    }

    /// The file of a job, and its size in bytes; `None` when there is none.
    pub async fn open(&self, job: Uuid) -> std::io::Result<Option<(File, u64)>> {
        match File::open(self.path(job)).await {
            Ok(file) => {
                let size = file.metadata().await?.len();
                Ok(Some((file, size)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes the file of a job, if it has one.
    pub async fn remove(&self, job: Uuid) -> std::io::Result<()> {
        match tokio::fs::remove_file(self.path(job)).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The jobs of files that have lain for a day, and the removal of parts that nobody finished.
    pub async fn strays(&self) -> std::io::Result<Vec<Uuid>> {
        let mut strays = Vec::new();
        let mut entries = match tokio::fs::read_dir(&self.folder).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(strays),
            Err(error) => return Err(error),
        };
        while let Some(entry) = entries.next_entry().await? {
            let modified = entry.metadata().await?.modified()?;
            if modified.elapsed().unwrap_or_default() < STRAY_AFTER {
                continue;
            }
            let name = entry.file_name();
            let name = name.to_string_lossy();
            match name.parse() {
                Ok(job) => strays.push(job),
                Err(_) if name.ends_with(".part") => tokio::fs::remove_file(entry.path()).await?,
                Err(_) => {}
            }
        }
        Ok(strays)
    }

    fn path(&self, job: Uuid) -> PathBuf {
        self.folder.join(job.to_string())
    }
}

impl Writer {
    /// Appends.
    pub async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes).await?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Puts the whole file under its name, safe on the disk.
    pub async fn finish(mut self) -> std::io::Result<u64> {
        self.file.flush().await?;
        self.file.get_ref().sync_all().await?;
        tokio::fs::rename(&self.unfinished, &self.finished).await?;
        self.done = true;
        if let Some(folder) = self.finished.parent() {
            sync_folder(folder).await?;
        }
        Ok(self.written)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.done {
            // What is left over is removed as a stray.
            let _ = std::fs::remove_file(&self.unfinished);
        }
    }
}

/// Makes a folder that nobody else may enter, unless it is there.
pub(crate) fn private_folder(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A new or emptied file that nobody else may read.
pub(crate) fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// A renamed file is safe once its folder is.
async fn sync_folder(folder: &Path) -> std::io::Result<()> {
    File::open(folder).await?.sync_all().await
}

/// The next piece of a file; `None` at its end.
pub async fn piece(file: &mut File) -> std::io::Result<Option<Bytes>> {
    let mut buffer = vec![0; PIECE];
    let read = file.read(&mut buffer).await?;
    buffer.truncate(read);
    Ok((read > 0).then(|| buffer.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path().join("files"));
        let job = Uuid::from_u128(7);
        let mut writer = files.create(job, 1).await.unwrap();
        writer.write(b"half").await.unwrap();
        assert!(files.open(job).await.unwrap().is_none());
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path().join("files")).unwrap().count(), 0);

        let mode = |path: &Path| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777
        };
        assert_eq!(mode(&folder.path().join("files")), 0o700);

        let mut writer = files.create(job, 2).await.unwrap();
        assert_eq!(mode(&writer.unfinished), 0o600);
        writer.write(b"whole").await.unwrap();
        assert_eq!(writer.finish().await.unwrap(), 5);
        let (mut file, size) = files.open(job).await.unwrap().unwrap();
        assert_eq!(
            (size, piece(&mut file).await.unwrap().unwrap().as_ref()),
            (5, &b"whole"[..])
        );
        assert!(piece(&mut file).await.unwrap().is_none());
        files.remove(job).await.unwrap();
        files.remove(job).await.unwrap();
        assert!(files.open(job).await.unwrap().is_none());
    }
}
