//! What every process measures of itself: its build, CPU time, memory and files, by the names of
//! Prometheus' client libraries, and its runtime.

use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, gauge};
use metrics_process::Collector;
use tokio::runtime::Handle;

use crate::build_info;

/// Threads that run tasks.
pub const TOKIO_WORKERS: &str = "tokio_workers";
/// Tasks that have not ended.
pub const TOKIO_ALIVE_TASKS: &str = "tokio_alive_tasks";
/// Tasks that wait for any worker.
pub const TOKIO_GLOBAL_QUEUE_DEPTH: &str = "tokio_global_queue_depth";
/// Time that workers have been at work, all together, in seconds.
pub const TOKIO_WORKER_BUSY: &str = "tokio_worker_busy_seconds_total";

/// Values are looked at this often.
const INTERVAL: Duration = Duration::from_secs(5);

/// Records them from now on.
pub(crate) async fn record(runtime: Handle) {
    build_info::record();
    let process = Collector::default();
    process.describe();
    describe_gauge!(TOKIO_WORKERS, "Threads that run tasks.");
    describe_gauge!(TOKIO_ALIVE_TASKS, "Tasks that have not ended.");
    describe_gauge!(TOKIO_GLOBAL_QUEUE_DEPTH, "Tasks that wait for any worker.");
    describe_counter!(TOKIO_WORKER_BUSY, "Time that workers have been at work, all together.");
    loop {
        process.collect();
        let runtime = runtime.metrics();
        let workers = runtime.num_workers();
        gauge!(TOKIO_WORKERS).set(workers as f64);
        gauge!(TOKIO_ALIVE_TASKS).set(runtime.num_alive_tasks() as f64);
        gauge!(TOKIO_GLOBAL_QUEUE_DEPTH).set(runtime.global_queue_depth() as f64);
        let busy: Duration = (0..workers)
            .map(|worker| runtime.worker_total_busy_duration(worker))
            .sum();
        counter!(TOKIO_WORKER_BUSY).absolute(busy.as_secs());
        tokio::time::sleep(INTERVAL).await;
    }
}
