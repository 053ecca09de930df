//! `quartet`: the whole suite in one process, and its administration.
//!
//! Reading order: [`cli`] (the commands), [`settings`], [`serve`] (the suite in one process), [`part`]
//! (one service in a process of its own), [`commands`] (one file per administrative command, over the
//! [`stores`] and the [`broker`]), [`backup_folder`].

mod backup_folder;
mod broker;
mod cli;
mod commands;
mod data_folder;
mod part;
mod serve;
mod settings;
mod stable_id;
mod stores;

use std::process::ExitCode;

use clap::Parser;
use quartet_rpc::host::{answer_arguments, use_small_pages};

use part::Part;

/// The gateway answers many small requests on many threads; this allocator needs less memory and
/// time for them than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    use_small_pages();
    if let Some(part) = Part::called() {
        return match answer_arguments(part.name()) {
            Some(code) => code,
            None => part.serve().await,
        };
    }
    match cli::Cli::parse().run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("quartet: {error:#}");
            ExitCode::FAILURE
        }
    }
}
