//! Lines in a file that is replaced when it has grown, for machines where nothing collects what
//! processes print.

use std::io;
use std::path::Path;

use file_rotate::compression::Compression;
use file_rotate::suffix::{AppendTimestamp, FileLimit};
use file_rotate::{ContentLimit, FileRotate};
use quartet_config::value::{Bytes, Span};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Opens `path` to append to. A thread of its own writes, so that no request waits for the disk;
/// lines that it cannot keep up with are dropped.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn open(path: &Path, max_size: Bytes, keep: Span) -> io::Result<(NonBlocking, WorkerGuard)> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    // The library wants a folder in front of the name.
    let path = std::path::absolute(path)?;
    let keep = chrono::Duration::from_std(keep.0).map_err(io::Error::other)?;
    let rotating = FileRotate::new(
        path,
        AppendTimestamp::default(FileLimit::Age(keep)),
        ContentLimit::BytesSurpassed(max_size.0.max(1)),
        Compression::None,
        None,
    );
    Ok(NonBlockingBuilder::default().thread_name("log file").finish(rotating))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_that_has_grown_is_put_aside_and_no_line_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/quartet.log");
        let (mut writer, guard) = open(&path, Bytes(100), Span(Duration::from_secs(3_600))).unwrap();
        for number in 0..30 {
            // In one piece, as lines are written.
            writer.write_all(format!("line {number:02}\n").as_bytes()).unwrap();
        }
        drop((writer, guard));
        let files: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().flatten().collect();
        assert!(files.len() > 1, "{files:?}");
        let mut lines: Vec<String> = Vec::new();
        for file in files {
            assert!(file.metadata().unwrap().len() <= 100 + 8, "{file:?}");
            lines.extend(std::fs::read_to_string(file.path()).unwrap().lines().map(str::to_owned));
        }
        lines.sort();
        assert_eq!(
            lines,
            (0..30).map(|number| format!("line {number:02}")).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(open(folder.path(), Bytes(100), Span(Duration::from_secs(1))).is_err());
    }
}
