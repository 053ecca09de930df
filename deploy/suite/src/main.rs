//! `quartet`: the whole suite in one process, and its administration.
//!
//! Reading order: [`cli`] (what can be asked), [`settings`] (what the suite is told), [`serve`] (the suite in one process), [`commands`] (one file
//! per administrative command, over the [`stores`] and the [`broker`]).

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

/// The gateway answers many small requests on many threads, which this allocator serves with less memory and time than the system's.
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
