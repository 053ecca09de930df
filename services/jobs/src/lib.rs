//! The jobs service: work that goes on after the answer.
//!
//! Rooms in reading order: [`config`], [`domain`] (types and rules), [`rpc`] (one file per RPC),
//! [`store`] (a trait per thing, two databases), [`events`] (what is published), [`consumer`] (what
//! events of others change here), [`workers`] (the claims and attempts), [`kinds`] (what jobs do,
//! one file per kind) with [`mail`], [`egress`] and [`files`] that they work with, `quotas` (what a
//! user may have, by tier), [`notifier`], [`error`].

pub mod config;
pub mod consumer;
pub mod domain;
pub mod egress;
pub mod error;
pub mod events;
pub mod files;
pub mod kinds;
pub mod links;
pub mod mail;
pub mod notifier;
pub mod process;
mod quotas;
pub mod rpc;
pub mod store;
pub mod workers;

use std::sync::Arc;
use std::time::Duration;

use quartet_clock::Clock;
use quartet_config::Environment;
use quartet_messaging::{Broker, Effects, Messenger};
use quartet_rpc::host::{Hosted, StartError};
use quartet_rpc::server::Probe;
use quartet_rpc::{Peer, Revocations};
use quartet_store::Database;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

pub use config::Config;
pub use error::Error;

use consumer::{CONSUMER, Consumer};
use domain::{EgressPolicy, Kind, MailLimits};
use egress::{EgressClient, Resolve};
use files::Files;
use kinds::Dependencies;
use links::Links;
use mail::{FileTransport, SmtpTransport, Transport};
use notifier::JobNotifier;
use quotas::Quotas;
use workers::{Handlers, Pace, Worker};

/// Bound on the effects of events that are handled together.
const EFFECTS_TIMEOUT: Duration = Duration::from_secs(20);

/// The proto packages that this service serves.
pub const PACKAGES: &[&str] = &["quartet.jobs.v1"];

/// What the service needs from the process it runs in.
pub struct Deps {
    /// Time, ids and randomness.
    pub clock: Clock,
    /// Carries messages; without one, jobs wait in the outbox.
    pub broker: Option<Arc<dyn Broker>>,
    /// The todos service.
    pub todos: Peer,
    /// The auth service.
    pub auth: Peer,
    /// The users service.
    pub users: Peer,
    /// Signs links to files: `host.key_for(links::PURPOSE)`.
    pub link_key: [u8; 32],
    /// The ended sessions, with which links end: `host.revocations()`.
    pub revocations: Revocations,
    /// What names mean, for webhooks: [`egress::SystemResolver`].
    pub names: Arc<dyn Resolve>,
}

/// The service, built and ready to be served.
pub struct Service {
    database: Database,
    rpc: rpc::Rpc,
    messenger: Messenger,
    worker: Option<Worker>,
}

/// Opens the store, migrates it if the settings allow it, and builds the service. Binds nothing.
pub async fn build(config: Config, deps: Deps) -> Result<Service, StartError> {
    let database = Database::open(&config.own.database_url, &config.store).await?;
    store::MIGRATIONS
        .at_start(&database, config.store.migrate_on_start)
        .await?;
    over(config, deps, database, |handlers| handlers)
}

/// The service over a store that is open and migrated. `adapt` may put other handlers in the place
/// of the service's own; tests do.
pub fn over(
    config: Config,
    deps: Deps,
    database: Database,
    adapt: impl FnOnce(Handlers) -> Handlers,
) -> Result<Service, StartError> {
    let Config {
        own,
        messaging,
        environment,
        ..
    } = config;
    let probed = database.clone();
    let Deps {
        clock,
        broker,
        todos,
        auth,
        users,
        link_key,
        revocations,
        names,
    } = deps;
    let messenger = Messenger::new(database.clone(), broker.clone(), clock.clone(), messaging);
    let notifier = JobNotifier::new();
    let store: Arc<dyn store::Store> = store::over(database, messenger.publisher(), notifier.clone()).into();
    let consumer = Consumer {
        store: store.clone(),
        clock: clock.clone(),
        welcome: own.welcome_mail.then(|| own.mail_language.clone()),
        per_host: own.webhook_host_concurrency,
    };
    let effects = Effects::new(consumer, clock.clone()).within(EFFECTS_TIMEOUT);
    let files = Files::new(&own.files_dir);
    let plain_http = own.webhook_plain_http.unwrap_or(environment == Environment::Local);
    let egress = EgressPolicy::new(own.webhook_allow.0.clone()).encrypted(!plain_http);
    let egress = Arc::new(egress);

    let worker = match broker.filter(|_| own.role.works()) {
        None => None,
        Some(broker) => {
            let dependencies = Dependencies {
                store: store.clone(),
                files: files.clone(),
                todos,
                auth,
                users,
                mails: mail_transport(&own)?,
                mail_language: own.mail_language.clone(),
                mail_limits: MailLimits {
                    per_address: own.mails_per_address.into(),
                    per_account: own.mails_per_account.into(),
                },
                egress: EgressClient::new(egress.clone(), names)?,
                remind_within: own.remind_within.0,
                purge_after: own.purge_after.0,
                webhook_gap: Duration::from_secs(1) / u32::from(own.webhook_host_rate.get()),
            };
            let schedules = [
                (Kind::RemindDue, own.remind_schedule.0.clone()),
                (Kind::PurgeDeleted, own.purge_schedule.0.clone()),
            ];
            Some(Worker {
                store: store.clone(),
                clock: clock.clone(),
                broker,
                handlers: Arc::new(adapt(kinds::handlers(dependencies))),
                schedules: Arc::new(
                    schedules
                        .into_iter()
                        .filter_map(|(kind, cron)| Some((kind, cron?)))
                        .collect(),
                ),
                notifier: notifier.clone(),
                files: files.clone(),
                pace: Pace {
                    concurrency: own.concurrency,
                    deliveries: own.webhook_concurrency,
                    lease: own.lease.0,
                    poll: own.poll_interval.0,
                    redeliver_after: own.redeliver_after.0,
                },
            })
        }
    };
    let rpc = rpc::Rpc {
        store,
        clock,
        notifier,
        files,
        links: Links::new(link_key),
        revocations,
        link_ttl: own.link_ttl.0,
        upload_limit: own.upload_limit.0,
        egress,
        quotas: Arc::new(Quotas {
            running: own.running_per_user,
            unfinished: own.unfinished_per_user,
            per_host: own.webhook_host_concurrency,
            webhooks: own.webhooks_per_user,
        }),
        replies: Arc::new(messenger.replies()),
    };
    Ok(Service {
        database: probed,
        rpc,
        messenger: messenger.consuming(CONSUMER, Arc::new(effects)),
        worker,
    })
}

/// Sends mails through the mail server that is set, or else writes them into a folder.
fn mail_transport(own: &config::Own) -> Result<Arc<dyn Transport>, StartError> {
    let from = &own.mail_from;
    let from = from
        .parse()
        .map_err(|_| format!("MAIL_FROM: expected a sender such as `Name <address>` (it is `{from}`)"))?;
    Ok(match &own.smtp_url {
        Some(url) => Arc::new(SmtpTransport::new(url, from)?),
        None => Arc::new(FileTransport::new(&own.mail_dir, from)),
    })
}

impl Hosted for Service {
    fn add_to(&self, routes: &mut RoutesBuilder) {
        self.rpc.clone().add_to(routes);
    }

    fn probe(&self) -> Probe {
        let database = self.database.clone();
        Probe::of(move || {
            let database = database.clone();
            async move { database.answers(Probe::BOUND).await }
        })
    }

    async fn run(self, stop: CancellationToken) {
        // The relay publishes the messages of the jobs that a stopping worker releases, so it stops
        // last.
        let released = CancellationToken::new();
        let messenger = tokio::spawn(self.messenger.run(released.clone()));
        match self.worker {
            Some(worker) => worker.run(stop).await,
            None => stop.cancelled().await,
        }
        released.cancel();
        let _ = messenger.await;
    }
}
