//! `quartet`: the whole suite in one process, and its administration.
//!
//! Reading order: [`cli`] (the commands), [`settings`], [`serve`] (the suite in one process),
//! [`commands`] (one file per administrative command, over the [`stores`] and the [`broker`]).

mod broker;
mod cli;
mod commands;
mod data_folder;
mod serve;
mod settings;
mod stable_id;
mod stores;

use std::process::ExitCode;

use clap::Parser;

/// The gateway answers many small requests on many threads; this allocator needs less memory and
/// time for them than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quartet: {error:#}");
            ExitCode::FAILURE
        }
    }
}
