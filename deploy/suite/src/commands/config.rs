//! `quartet config`.

use std::process::ExitCode;

use quartet_clock::Clock;
use quartet_config::{Secret, Source, example};
use quartet_redis::Redis;
use quartet_rpc::Upstream;
use quartet_rpc::host::{self, Host};

use crate::data_folder;
use crate::settings::{Own, Settings, sections, set_addresses};

/// What to print.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the documented example file instead, with every setting at its default.
    #[arg(long)]
    example: bool,
}

/// Prints the settings, and what the start would refuse of them: 1 is returned then.
pub(crate) fn run(mut source: Source, args: &Args) -> ExitCode {
    if args.example {
        print!("{}", example::file(&sections()));
        return ExitCode::SUCCESS;
    }
    let refused = check(source.clone()).err();
    set_addresses(&mut source);
    if let Ok(own) = Own::read(&source) {
        data_folder::set_defaults(&mut source, &own.data_dir);
    }
    print!("{}", example::effective(&sections(), &source));
    for foreign in source.foreign() {
        println!(
            "\n# {} is not read; in its place there is {}",
            foreign.name, foreign.ours
        );
    }
    match refused {
        None => ExitCode::SUCCESS,
        Some(error) => {
            println!("\n# The start would refuse this: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What of the settings can be checked without an effect.
fn check(source: Source) -> anyhow::Result<()> {
    let mut settings = Settings::read(source)?;
    let [auth, users] = ["auth", "users"].map(|name| Upstream::local(name).0);
    // The start draws one where none is set.
    let secret = &mut settings.rpc.service_token_secret;
    secret.get_or_insert_with(|| Secret::new("a secret of the right length: 32"));
    Host::new("quartet", settings.rpc.clone(), Clock::system(), auth, users)?;
    settings.gateway.check()?;
    let redis = Redis::open(&settings.redis)?;
    host::limits(&settings.source, redis.as_ref())?;
    settings.rpc.reflects(&settings.source)?;
    quartet_telemetry::Config::read(&settings.source)?;
    Ok(())
}
