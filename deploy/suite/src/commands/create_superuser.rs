//! `quartet create-superuser`.

use quartet_auth::admin::Secret;
use quartet_clock::Clock;
use quartet_rpc::Role;

use crate::settings::Settings;
use crate::stores::{Stores, Wanted, told};

/// The superuser to make. Flags win over the variables.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name shown to others.
    #[arg(long, env = "ADMIN_NAME", default_value = "Administrator")]
    name: String,
    /// User name to sign in with: 2 to 20 lower-case letters and digits.
    #[arg(long, env = "ADMIN_USERNAME", default_value = "admin")]
    username: String,
    /// E-mail address.
    #[arg(long, env = "ADMIN_EMAIL", default_value = "admin@example.org")]
    email: String,
    /// Password; one is made and printed when none is given. Prefer the variable: other users of the machine can read a command line.
    #[arg(long, env = "ADMIN_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

pub(crate) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    let stores = Stores::open(settings).await?;
    let password = args
        .password
        .clone()
        .unwrap_or_else(|| Clock::system().new_token::<15>());
    let wanted = Wanted {
        name: &args.name,
        username: &args.username,
        email: &args.email,
        secret: Secret::Password(&password),
        role: Role::Superuser,
    };
    let there = stores.ensure_user(wanted).await.map_err(|status| told(&status))?;
    if !there.made {
        println!("{} is a superuser already; nothing was changed", args.username);
    } else if args.password.is_some() {
        println!("{} is a superuser now", args.username);
    } else {
        println!("{} is a superuser now, with the password {password}", args.username);
    }
    Ok(())
}
