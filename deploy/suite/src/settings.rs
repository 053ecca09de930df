//! The settings of all parts of the suite.

use std::net::SocketAddr;
use std::path::PathBuf;

use quartet_config::{Secret, Setting, Source};
use quartet_store::Migrations;
use quartet_store::database::DatabaseUrl;

use crate::data_folder;

quartet_config::settings! {
    /// Settings of the suite in one process.
    pub struct Own {
        /// Folder of all data of the suite: stores, keys, mails. It is created when it is missing.
        data_dir: PathBuf = "DATA_DIR" or "data";
        /// Address on which the suite serves the gRPC methods of all services.
        grpc_address: SocketAddr = "GRPC_ADDRESS" or "127.0.0.1:50050";
        /// What `quartet health` and `quartet status` ask without an argument: a gateway,
        /// `http://host:port`, or a service, `grpc://host:port`, over TLS `grpcs://host:port`. The port of
        /// `HTTP_ADDRESS` is that of the default.
        health_address: String = "HEALTH_ADDRESS" or "http://127.0.0.1:8000";
    }
}

quartet_config::settings! {
    /// Defaults of the administrative commands' flags.
    pub struct Admin {
        /// Name of the superuser that `quartet create-superuser` creates.
        name: String = "ADMIN_NAME" or "Administrator";
        /// User name of that superuser.
        username: String = "ADMIN_USERNAME" or "admin";
        /// E-mail address of that superuser.
        email: String = "ADMIN_EMAIL" or "admin@example.org";
        /// Password of that superuser; one is generated and printed when this is unset.
        @secret password: Option<Secret> = "ADMIN_PASSWORD";
        /// Name of the tier that `quartet create-tier` creates.
        tier_name: String = "TIER_NAME" or "free";
    }
}

/// The settings of all parts, parsed and checked.
pub(crate) struct Settings {
    pub(crate) source: Source,
    pub(crate) own: Own,
    pub(crate) admin: Admin,
    pub(crate) rpc: quartet_rpc::Config,
    pub(crate) redis: quartet_redis::Config,
    pub(crate) cache: quartet_cache::Config,
    pub(crate) auth: quartet_auth::Config,
    pub(crate) users: quartet_users::Config,
    pub(crate) todos: quartet_todos::Config,
    pub(crate) jobs: quartet_jobs::Config,
    pub(crate) gateway: quartet_gateway::Config,
    pub(crate) store: quartet_store::Config,
    pub(crate) messaging: quartet_messaging::Config,
}

impl Settings {
    /// Reads every layer. Data is in `DATA_DIR` unless a layer sets another path. Has no side
    /// effect.
    pub(crate) fn load() -> anyhow::Result<Self> {
        Self::read(Source::load()?)
    }

    /// Like [`Settings::load`], from a given source.
    pub(crate) fn read(mut source: Source) -> anyhow::Result<Self> {
        set_addresses(&mut source);
        let own = Own::read(&source)?;
        data_folder::set_defaults(&mut source, &own.data_dir);
        Ok(Self {
            admin: Admin::read(&source)?,
            rpc: quartet_rpc::Config::read(&source)?,
            redis: quartet_redis::Config::read(&source)?,
            cache: quartet_cache::Config::read(&source)?,
            auth: quartet_auth::Config::read(&source)?,
            users: quartet_users::Config::read(&source)?,
            todos: quartet_todos::Config::read(&source)?,
            jobs: quartet_jobs::Config::read(&source)?,
            gateway: quartet_gateway::Config::read(&source)?,
            store: quartet_store::Config::read(&source)?,
            messaging: quartet_messaging::Config::read(&source)?,
            own,
            source,
        })
    }

    /// Sets the secret that the services share to the one in the data folder, unless a layer sets
    /// one.
    pub(crate) fn share_secret(&mut self) -> anyhow::Result<()> {
        // They are for processes that run apart.
        self.rpc.service_key_file = None;
        self.rpc.service_keys_dir = None;
        if self.rpc.service_token_secret.is_none() {
            self.rpc.service_token_secret = Some(Secret::new(data_folder::secret(&self.own.data_dir)?));
        }
        Ok(())
    }

    /// The stores of the services: where they are, and their migrations.
    pub(crate) fn stores(&self) -> [(&'static str, &DatabaseUrl, Migrations); 4] {
        let Self {
            auth,
            users,
            todos,
            jobs,
            ..
        } = self;
        [
            ("auth", &auth.own.database_url, quartet_auth::store::MIGRATIONS),
            ("users", &users.database_url, quartet_users::store::MIGRATIONS),
            ("todos", &todos.database_url, quartet_todos::store::MIGRATIONS),
            ("jobs", &jobs.own.database_url, quartet_jobs::store::MIGRATIONS),
        ]
    }
}

/// Sets where links in mails and the checks of this machine lead to the port of `HTTP_ADDRESS`, unless a
/// layer sets them.
pub(crate) fn set_addresses(source: &mut Source) {
    let Some(address) = source
        .raw("HTTP_ADDRESS")
        .and_then(|text| text.parse::<SocketAddr>().ok())
    else {
        return;
    };
    // The system chooses a port in the place of 0, at the start.
    if address.port() != 0 {
        source.set_default(
            "PUBLIC_URL",
            format!("http://localhost:{}", address.port()),
            "HTTP_ADDRESS",
        );
        source.set_default(
            "HEALTH_ADDRESS",
            format!("http://127.0.0.1:{}", address.port()),
            "HTTP_ADDRESS",
        );
    }
}

/// Every setting of the suite and of its separate processes, by part.
pub(crate) fn sections() -> Vec<(&'static str, Vec<Setting>)> {
    let parts: [(&'static str, &[Setting]); 16] = [
        ("The suite in one process", Own::SETTINGS),
        ("Administrative commands", Admin::SETTINGS),
        ("Gateway", quartet_gateway::Config::SETTINGS),
        (
            "Tokens and access, equal in every process",
            quartet_rpc::Config::SETTINGS,
        ),
        (
            "Limits on how often somebody may call",
            quartet_limits::Config::SETTINGS,
        ),
        ("Cache of replies", quartet_cache::Config::SETTINGS),
        ("Redis", quartet_redis::Config::SETTINGS),
        ("Calls between services", quartet_rpc::upstream::Config::SETTINGS),
        ("TLS of services", quartet_rpc::tls::Config::SETTINGS),
        ("Auth service", quartet_auth::Config::SETTINGS),
        ("Users service", quartet_users::config::Settings::SETTINGS),
        ("Todos service", quartet_todos::config::Own::SETTINGS),
        ("Jobs service", quartet_jobs::config::Own::SETTINGS),
        ("Stores", quartet_store::Config::SETTINGS),
        ("Messages between services", quartet_messaging::Config::SETTINGS),
        ("Logs, traces and metrics", quartet_telemetry::Config::SETTINGS),
    ];
    let mut sections: Vec<_> = parts.map(|(title, settings)| (title, settings.to_vec())).into();
    // The gateway's URLs of the services follow from the contracts; some are settings of other
    // processes as well.
    let mut upstreams = quartet_gateway::config::upstream_settings(quartet_proto::descriptors::pool());
    upstreams.retain(|(_, setting)| {
        sections
            .iter()
            .all(|(_, settings)| settings.iter().all(|other| other.name != setting.name))
    });
    let upstreams = upstreams.into_iter().map(|(_, setting)| setting).collect();
    sections.push(("Gateway in a process of its own", upstreams));
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_documents_every_setting() {
        let written = include_str!("../../../.env.example");
        let expected = quartet_config::example::file(&sections());
        assert_eq!(
            written, expected,
            "generate it with `quartet config --example > .env.example`"
        );
    }

    #[test]
    fn no_setting_is_declared_twice() {
        let sections = sections();
        let settings = sections.iter().flat_map(|(_, settings)| settings);
        let mut names: Vec<&str> = settings.map(|setting| setting.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn a_warning_about_a_name_of_others_names_a_setting_of_ours_and_is_never_about_one() {
        let sections = sections();
        let settings = sections.iter().flat_map(|(_, settings)| settings);
        let ours: Vec<&str> = settings.map(|setting| setting.name).collect();
        for (names, advice) in quartet_config::foreign::NAMES {
            assert!(names.iter().all(|name| !ours.contains(name)), "{names:?}");
            let words = advice.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
            for word in words.filter(|word| word.contains('_')) {
                assert!(ours.contains(&word), "{word}");
            }
        }
    }
}
