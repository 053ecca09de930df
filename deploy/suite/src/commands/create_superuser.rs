//! `quartet create-superuser`.

use quartet_auth::admin as auth;
use quartet_clock::Clock;
use quartet_config::Secret;
use quartet_kernel::Role;

use crate::settings::Settings;
use crate::stores::{Stores, Wanted, describe};

/// The superuser to create. The settings are the defaults.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name shown to others [setting: ADMIN_NAME]
    #[arg(long)]
    name: Option<String>,
    /// User name to sign in with: 2 to 20 lower-case letters and digits [setting: ADMIN_USERNAME]
    #[arg(long)]
    username: Option<String>,
    /// E-mail address [setting: ADMIN_EMAIL]
    #[arg(long)]
    email: Option<String>,
    /// Password; one is generated and printed when none is given. Prefer the setting: other users
    /// of the machine can read a command line [setting: ADMIN_PASSWORD]
    #[arg(long)]
    password: Option<String>,
}

pub(crate) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    let stores = Stores::open(settings).await?;
    let admin = &settings.admin;
    let username = args.username.as_ref().unwrap_or(&admin.username);
    let given = args.password.as_deref().or(admin.password.as_ref().map(Secret::expose));
    let password = given.map_or_else(|| Clock::system().new_token::<15>(), str::to_owned);
    let wanted = Wanted {
        name: args.name.as_ref().unwrap_or(&admin.name),
        username,
        email: args.email.as_ref().unwrap_or(&admin.email),
        secret: auth::Secret::Password(&password),
        role: Role::Superuser,
    };
    let ensured = stores.ensure_user(wanted).await.map_err(|status| describe(&status))?;
    if !ensured.created {
        println!("{username} is a superuser already; nothing was changed");
    } else if given.is_some() {
        println!("{username} is a superuser now");
    } else {
        println!("{username} is a superuser now, with the password {password}");
    }
    Ok(())
}
