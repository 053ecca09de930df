//! The todos service alone.

use std::process::ExitCode;

use quartet_rpc::host::{answer_arguments, use_small_pages};

/// This allocator needs less memory and time for many small requests on many threads than the
/// system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    use_small_pages();
    match answer_arguments("todos") {
        Some(code) => code,
        None => quartet_todos::process::main().await,
    }
}
