//! `quartet create-tier`.

use quartet_users::domain::{Tier, TierName};

use crate::settings::Settings;
use crate::stores::{Stores, describe};

/// The tier to create.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name: 1 to 50 lower-case letters, digits, `-` and `_` [setting: TIER_NAME]
    name: Option<String>,
}

pub(crate) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    let name = TierName::parse(args.name.as_ref().unwrap_or(&settings.admin.tier_name))
        .map_err(|rule| anyhow::anyhow!("name {rule}"))?;
    let stores = Stores::open(settings).await?;
    let now = stores.clock.now();
    let tier = Tier {
        id: stores.clock.new_id(),
        name: name.as_str().to_owned(),
        created_at: now,
        updated_at: now,
    };
    let created = stores
        .users
        .insert_tier(&tier, &stores.cx())
        .await
        .map_err(|error| describe(&error.into()))?;
    let outcome = if created { "was created" } else { "exists already" };
    println!("the tier {} {outcome}", name.as_str());
    Ok(())
}
