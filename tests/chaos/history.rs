//! The history: every operation that was invoked, and how it completed.
//!
//! As in Jepsen, an operation is invoked and then completes as `ok` (it took effect), `fail` (it
//! did not) or `info` (nobody knows: there was no answer, or a 5xx). The faults of the nemesis are
//! part of the history, as `info`.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::nemesis::fault::FaultKind;

/// The history of one run, shared by its clients and the nemesis.
pub struct History {
    begun: Instant,
    entries: Mutex<Vec<Entry>>,
    anomalies: Mutex<Vec<String>>,
}

/// An entry: an invocation, a completion or a fault.
struct Entry {
    time: Duration,
    process: Process,
    kind: Type,
    operation: String,
}

/// Who invoked an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// The client of this number.
    Client(u64),
    /// The nemesis.
    Nemesis,
}

/// The type of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// The operation begins.
    Invoke,
    /// It took effect: 2xx.
    Ok,
    /// It did not take effect: 4xx, with the status and the error code.
    Fail(u16, String),
    /// Unknown: no answer, or 5xx.
    Info,
}

/// How the operations of the clients completed.
#[derive(Clone, Default)]
pub struct Counts {
    /// Operations that were invoked.
    pub invoked: usize,
    /// Those that completed as `ok`.
    pub ok: usize,
    /// Those that completed as `info`.
    pub info: usize,
    /// Those that completed as `fail`, by operation, status and code.
    pub failed: BTreeMap<String, usize>,
}

impl History {
    /// An empty history that begins now.
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            entries: Mutex::default(),
            anomalies: Mutex::default(),
        }
    }

    /// Appends an entry.
    pub fn record(&self, process: Process, kind: Type, operation: &str) {
        self.entries.lock().push(Entry {
            time: self.begun.elapsed(),
            process,
            kind,
            operation: operation.to_owned(),
        });
    }

    /// Appends a fault.
    pub fn fault(&self, kind: FaultKind, node: &str) {
        self.record(Process::Nemesis, Type::Info, &format!("{kind} {node}"));
    }

    /// Records an answer that must never be given, whatever fails.
    pub fn anomaly(&self, anomaly: String) {
        self.anomalies.lock().push(anomaly);
    }

    /// The answers that must never be given.
    pub fn anomalies(&self) -> Vec<String> {
        self.anomalies.lock().clone()
    }

    /// Counts the operations of the clients.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let entries = self.entries.lock();
        for entry in entries.iter().filter(|entry| entry.process != Process::Nemesis) {
            match &entry.kind {
                Type::Invoke => counts.invoked += 1,
                Type::Ok => counts.ok += 1,
                Type::Info => counts.info += 1,
                Type::Fail(status, code) => {
                    let failure = format!("{}: {status} {code}", entry.operation);
                    *counts.failed.entry(failure).or_default() += 1;
                }
            }
        }
        counts
    }

    /// The operations of clients that completed as `info` or `fail`, but for those that came after the
    /// end of their task, as they may.
    pub fn failures(&self) -> Vec<String> {
        let entries = self.entries.lock();
        let has_failed = |kind: &Type| match kind {
            Type::Info => true,
            Type::Fail(_, code) => code != "task_ended",
            Type::Invoke | Type::Ok => false,
        };
        let failed = entries
            .iter()
            .filter(|entry| entry.process != Process::Nemesis && has_failed(&entry.kind));
        failed
            .map(|entry| format!("{:?} {} after {:.1?}", entry.kind, entry.operation, entry.time))
            .collect()
    }

    /// The history as text, a line for each entry.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Entry {
            time,
            process,
            kind,
            operation,
        } in self.entries.lock().iter()
        {
            let _ = writeln!(text, "{:10.3}  {process:8}  {kind:6}  {operation}", time.as_secs_f64());
        }
        text
    }
}

impl fmt::Display for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(number) => formatter.pad(&number.to_string()),
            Self::Nemesis => formatter.pad("nemesis"),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invoke => formatter.pad("invoke"),
            Self::Ok => formatter.pad("ok"),
            Self::Fail(status, code) => formatter.pad(&format!("fail {status} {code}")),
            Self::Info => formatter.pad("info"),
        }
    }
}
