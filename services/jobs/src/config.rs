//! Settings of the jobs service.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::str::FromStr;

use quartet_config::value::{Bytes, List, PerTier, Span};
use quartet_config::{Environment, Secret, Source};
use quartet_store::database::DatabaseUrl;

use crate::domain::{Cron, InvalidCron, Network};

quartet_config::settings! {
    /// Settings of the jobs service.
    pub struct Own {
        /// Address to serve gRPC on, when the service runs alone.
        grpc_address: SocketAddr = "JOBS_GRPC_ADDRESS" or "127.0.0.1:50054";
        /// Store of the jobs service: `postgres://user:password@host:port/name`, or
        /// `sqlite://path/to/file.db`.
        @secret database_url: DatabaseUrl = "JOBS_DATABASE_URL" or "sqlite://data/jobs.db";
        /// What a process of the service does: `api` (serves calls), `worker` (runs jobs), or
        /// `both`.
        role: Role = "JOBS_ROLE" or "both";
        /// Where the todos service is, for a jobs service that runs apart from it.
        todos_url: String = "TODOS_URL" or "http://127.0.0.1:50053";
        /// Jobs that a worker runs at once, in each of the three priorities.
        concurrency: u16 = "JOBS_CONCURRENCY" or "8";
        /// Jobs of one user that all workers run at once, in each priority; others by tier:
        /// `4,pro=16`. Fewer than JOBS_CONCURRENCY leave workers for everybody else.
        running_per_user: PerTier = "JOBS_RUNNING_PER_USER" or "4";
        /// Tasks of one user that may be unfinished at once, in each priority; one more is refused
        /// (429 `quota_exceeded`). Others by tier: `10000,free=100`.
        unfinished_per_user: PerTier = "JOBS_UNFINISHED_PER_USER" or "10000";
        /// Webhooks that a user may have; others by tier: `20,free=2`.
        webhooks_per_user: PerTier = "JOBS_WEBHOOKS_PER_USER" or "20";
        /// Deliveries to webhooks that a worker makes at once.
        webhook_concurrency: u16 = "JOBS_WEBHOOK_CONCURRENCY" or "64";
        /// Deliveries to one host that all workers make at once.
        webhook_host_concurrency: u32 = "JOBS_WEBHOOK_HOST_CONCURRENCY" or "2";
        /// Deliveries to one host per second that all workers make, at the most.
        webhook_host_rate: NonZeroU16 = "JOBS_WEBHOOK_HOST_RATE" or "20";
        /// How long a worker's lease on a job lasts without renewal; then the job is rescued, with
        /// the attempt counted.
        lease: Span = "JOBS_LEASE" or "30s";
        /// How often a worker polls for what is due: scheduled jobs, schedules, orphans.
        poll_interval: Span = "JOBS_POLL_INTERVAL" or "1s";
        /// How long a queued job waits for a worker before its message counts as lost and is
        /// published again.
        redeliver_after: Span = "JOBS_REDELIVER_AFTER" or "15m";
        /// Folder of exported and uploaded files, which every process of the service shares.
        files_dir: PathBuf = "JOBS_FILES_DIR" or "data/files";
        /// Size of an uploaded file at the most.
        upload_limit: Bytes = "JOBS_UPLOAD_LIMIT" or "10MiB";
        /// How long the link to an exported file is valid.
        link_ttl: Span = "JOBS_LINK_TTL" or "15m";
        /// When reminders of due todos are made, in the syntax of cron, in UTC; `off` for never.
        remind_schedule: Pattern = "JOBS_REMIND_SCHEDULE" or "*/15 * * * *";
        /// How long before a todo is due its owner is reminded.
        remind_within: Span = "JOBS_REMIND_WITHIN" or "1d";
        /// When deleted todos and users are purged, in the syntax of cron, in UTC; `off` for never.
        purge_schedule: Pattern = "JOBS_PURGE_SCHEDULE" or "30 3 * * *";
        /// How long after its deletion a todo or a user is purged; until then it can be restored.
        purge_after: Span = "JOBS_PURGE_AFTER" or "30d";
        /// Addresses and networks that webhooks may reach besides the public internet, with commas,
        /// such as `10.1.0.0/16`.
        webhook_allow: List<Network> = "JOBS_WEBHOOK_ALLOW" or "";
        /// Whether webhooks may be called without TLS; by default in the environment `local` alone.
        webhook_plain_http: Option<bool> = "JOBS_WEBHOOK_PLAIN_HTTP";
        /// Whether new users receive a welcome mail. Switch it off before you import the accounts
        /// of another system.
        welcome_mail: bool = "WELCOME_MAIL" or "true";
        /// Mails to one address per hour, reminders aside; one more is not sent, and nobody learns
        /// of it.
        mails_per_address: u32 = "MAILS_PER_ADDRESS_PER_HOUR" or "10";
        /// Mails that one account requests per hour, to whichever addresses; one more is not sent.
        mails_per_account: u32 = "MAILS_PER_ACCOUNT_PER_HOUR" or "20";
        /// Sender of mails.
        mail_from: String = "MAIL_FROM" or "Quartet <no-reply@quartet.example>";
        /// Language of mails to users whose preference is not known: `en` or `ru`.
        mail_language: String = "MAIL_LANGUAGE" or "en";
        /// The server that accepts mails: `smtps://user:password@host:465`,
        /// `smtp://user:password@host:587?tls=required`, or `smtp://host:25` without TLS. Unset,
        /// mails are written as files into MAIL_DIR.
        @secret smtp_url: Option<Secret> = "SMTP_URL";
        /// Folder that mails are written to, as `.eml` files, where SMTP_URL is unset.
        mail_dir: PathBuf = "MAIL_DIR" or "data/mail";
    }
}

/// What a process of the service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers calls.
    Api,
    /// Does jobs.
    Worker,
    /// Answers calls and does jobs.
    Both,
}

/// When a schedule comes due, if ever.
#[derive(Debug, Clone)]
pub struct Pattern(pub Option<Cron>);

/// All settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Settings of the service.
    pub own: Own,
    /// Where the process runs.
    pub environment: Environment,
    /// Settings that all stores share.
    pub store: quartet_store::Config,
    /// Settings of messages.
    pub messaging: quartet_messaging::Config,
}

impl Config {
    /// Reads every setting from `source`.
    pub fn read(source: &Source) -> Result<Self, quartet_config::Error> {
        Ok(Self {
            own: Own::read(source)?,
            environment: source.environment()?,
            store: quartet_store::Config::read(source)?,
            messaging: quartet_messaging::Config::read(source)?,
        })
    }
}

impl Role {
    /// Whether the process does jobs.
    pub fn works(self) -> bool {
        match self {
            Self::Api => false,
            Self::Worker | Self::Both => true,
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "api" => Ok(Self::Api),
            "worker" => Ok(Self::Worker),
            "both" => Ok(Self::Both),
            _ => Err("expected api, worker or both".into()),
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidCron;

    fn from_str(text: &str) -> Result<Self, InvalidCron> {
        match text {
            "off" => Ok(Self(None)),
            pattern => pattern.parse().map(|cron| Self(Some(cron))),
        }
    }
}
