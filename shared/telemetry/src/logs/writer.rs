//! Where lines wait for a thread that writes them.
//!
//! No request waits for whoever reads standard error: a pipe that nobody empties would stop all of them.
//! And under load many lines take one system call in place of one each.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tracing_subscriber::fmt::MakeWriter;

use crate::metrics::LOG_LINES_LOST;

/// Bytes of lines that may wait. Further lines are lost, and counted.
const MOST_WAITING: usize = 8 << 20;
/// How long lines gather before they are written.
const GATHERING: Duration = Duration::from_millis(10);
/// Bound on the writing of what is left at the end of the process.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// Takes lines, and never blocks on where they go.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Shared>);

/// Writes what is left when it is dropped, within a bound.
#[must_use = "lines that are not written yet are lost unless it is kept until the end"]
pub(crate) struct Writing(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// The first line has come, or the end.
    has_come: Condvar,
    /// All lines have been written, or cannot be.
    is_done: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines that found no room since the last one that did.
    lost: u64,
    is_closed: bool,
    is_done: bool,
}

/// Lines to `target`, which a thread of its own writes. It calls `on_loss` with the number of lines that
/// were lost, once there is room again.
///
/// # Errors
/// When there is no thread to be had.
pub(crate) fn to(
    target: impl Write + Send + 'static,
    on_loss: impl Fn(u64) + Send + 'static,
) -> io::Result<(Lines, Writing)> {
    let shared = Arc::new(Shared::default());
    let writer = shared.clone();
    thread::Builder::new()
        .name("log lines".to_owned())
        .spawn(move || writer.write_to(target, on_loss))?;
    Ok((Lines(shared.clone()), Writing(shared)))
}

impl Shared {
    fn write_to(&self, mut target: impl Write, on_loss: impl Fn(u64)) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.state.lock();
            while state.waiting.is_empty() && !state.is_closed {
                self.has_come.wait(&mut state);
            }
            // Woken by the first line alone: the others come without waking anybody.
            self.has_come
                .wait_while_for(&mut state, |state| !state.is_closed, GATHERING);
            if state.waiting.is_empty() {
                break;
            }
            std::mem::swap(&mut state.waiting, &mut lines);
            let lost = std::mem::take(&mut state.lost);
            drop(state);
            // A target that cannot be written to takes no line about that either.
            let _ = target.write_all(&lines).and_then(|()| target.flush());
            lines.clear();
            if lost > 0 {
                on_loss(lost);
            }
        }
        self.state.lock().is_done = true;
        self.is_done.notify_all();
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

impl Write for &Lines {
    /// Takes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.0.state.lock();
        if state.waiting.len() + line.len() > MOST_WAITING {
            state.lost += 1;
            drop(state);
            metrics::counter!(LOG_LINES_LOST).increment(1);
            return Ok(line.len());
        }
        let is_first = state.waiting.is_empty();
        state.waiting.extend_from_slice(line);
        drop(state);
        if is_first {
            self.0.has_come.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_closed = true;
        self.0.has_come.notify_one();
        let until = Instant::now() + LAST_WRITE;
        self.0
            .is_done
            .wait_while_until(&mut state, |state| !state.is_done, until);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// What was written, by write.
    type Written = Arc<Mutex<Vec<Vec<u8>>>>;

    /// A reader that takes each write when it is allowed to.
    struct Slow(Receiver<()>, Written);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow(on_loss: impl Fn(u64) + Send + 'static) -> (Sender<()>, Written, Lines, Writing) {
        let (allow, allowed) = channel();
        let written = Arc::default();
        let (lines, writing) = to(Slow(allowed, Arc::clone(&written)), on_loss).unwrap();
        (allow, written, lines, writing)
    }

    #[test]
    fn lines_are_written_in_order_and_all_of_them_at_the_end() {
        let (allow, written, lines, writing) = slow(|_| unreachable!());
        // Whoever reads is free from now on.
        drop(allow);
        for number in 0..1_000 {
            (&lines).write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        drop(writing);
        let text = String::from_utf8(written.lock().concat()).unwrap();
        let expected: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(text, expected);
        assert!(written.lock().len() < 1_000, "lines are written together");
    }

    #[test]
    fn a_reader_that_stands_still_stops_nobody_and_what_is_lost_is_counted() {
        let (lost, losses) = channel();
        let (allow, written, lines, writing) = slow(move |count| lost.send(count).unwrap());
        let line = [&[b'x'; 1_023][..], b"\n"].concat();
        let room = MOST_WAITING / line.len();
        // Twice the room and what the blocked write has taken: this would never end if it waited.
        for _ in 0..3 * room {
            (&lines).write_all(&line).unwrap();
        }
        drop(allow);
        drop(writing);
        let text = String::from_utf8(written.lock().concat()).unwrap();
        let kept = text.lines().filter(|line| line.starts_with('x')).count();
        assert!((room..=2 * room).contains(&kept), "{kept} of {}", 3 * room);
        assert_eq!(usize::try_from(losses.iter().sum::<u64>()).unwrap(), 3 * room - kept);
    }

    #[test]
    fn the_end_waits_for_a_reader_that_stands_still_within_a_bound() {
        let (allow, _, lines, writing) = slow(|_| unreachable!());
        (&lines).write_all(b"line\n").unwrap();
        drop(writing);
        drop(allow);
    }
}
