//! Settings of limits.

use std::str::FromStr;

use quartet_config::value::List;

use crate::Quota;

quartet_config::settings! {
    /// Settings of limits on how often somebody may call.
    pub struct Config {
        /// Whether calls are limited at all.
        rate_limit_enabled: bool = "RATE_LIMIT_ENABLED" or "true";
        /// Calls of one user, where their tier has no limit for the path.
        rate_limit_user: Quota = "RATE_LIMIT_USER" or "600/1m";
        /// Calls of one client address where nobody is signed in; of one /64 network where that is
        /// IPv6.
        rate_limit_address: Quota = "RATE_LIMIT_ADDRESS" or "300/1m";
        /// Limits that the contracts declare for single methods, in other numbers: such as
        /// `login=60/1m,register=100/1h`.
        rate_limits: List<Override> = "RATE_LIMITS" or "";
    }
}

/// A limit of the contracts in other numbers, written `name=calls/period`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// The limit's name.
    pub name: String,
    /// Its numbers.
    pub quota: Quota,
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, quota) = text
            .split_once('=')
            .ok_or("expected a name and a quota, such as `login=60/1m`")?;
        Ok(Self {
            name: name.trim().to_owned(),
            quota: quota.trim().parse()?,
        })
    }
}
