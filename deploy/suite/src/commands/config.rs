//! `quartet config`.

use quartet_config::example;

use crate::settings::{Settings, sections};

/// What to print.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the documented example file instead, with every setting at its default.
    #[arg(long)]
    example: bool,
}

pub(crate) fn run(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    let text = if args.example {
        example::file(&sections())
    } else {
        example::effective(&sections(), &settings.source)
    };
    print!("{text}");
    Ok(())
}
