//! The broker of the suite's messages.

use std::sync::Arc;

use anyhow::Context as _;
use quartet_clock::Clock;
use quartet_messaging::{Broker, Local};

use crate::settings::Settings;

/// RabbitMQ if the settings have a URL, else the broker within the process.
pub(crate) async fn open(settings: &Settings, clock: Clock) -> anyhow::Result<Arc<dyn Broker>> {
    if let Some(rabbit) = quartet_messaging::rabbit::connect(&settings.messaging, "quartet", clock.clone())? {
        return Ok(rabbit);
    }
    let path = &settings.messaging.local_broker_path;
    let local = Local::open(path, &settings.store, clock).await;
    Ok(Arc::new(local.with_context(|| {
        format!("LOCAL_BROKER_PATH: cannot open {}", path.display())
    })?))
}
