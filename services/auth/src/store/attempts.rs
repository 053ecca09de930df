//! Attempts to sign in.

use async_trait::async_trait;
use quartet_store::Context;
use uuid::Uuid;

use crate::Error;
use crate::domain::throttle::{Attempt, Count, Subject};
use crate::domain::{Account, Device};

/// What an account is looked up by when somebody signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// Its id.
    Id(Uuid),
    /// Its user name.
    Username(String),
    /// Its address, as [`quartet_kernel::Email::key`].
    Email(String),
    /// The same, once it is proven.
    ProvenEmail(String),
}

/// Who tries to sign in, and from where.
#[derive(Debug, Clone)]
pub struct Guess {
    /// The account that they name.
    pub name: Name,
    /// What failures with that name are counted for while no account has it.
    pub nobody: Subject,
    /// What failures from their address are counted under: see
    /// [`origin`](crate::domain::throttle::origin).
    pub origin: String,
    /// Their address, where it is known.
    pub address: Option<String>,
    /// What failures of the caller are counted under, when the call carries a session.
    pub caller: Option<&'static str>,
    /// The device that they come with, which may be of another account.
    pub device: Option<Device>,
}

impl Guess {
    /// What failures with the name are counted for.
    pub fn subject(&self, account: Option<&Account>) -> Subject {
        account.map_or(self.nobody, |account| Subject::Account(account.id))
    }
}

/// What an attempt to sign in depends on.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// The account of that name.
    pub account: Option<Account>,
    /// Whether a session of the account began at the address.
    pub is_known_address: bool,
    /// Whether logins with the account demand a code of its second factor.
    pub has_second_factor: bool,
    /// Failures with the name from the address.
    pub pair: Option<Count>,
    /// Failures with the name from all addresses.
    pub anywhere: Option<Count>,
    /// Failures from the address with all names.
    pub origin: Option<Count>,
    /// Failures with sessions of the account.
    pub caller: Option<Count>,
    /// Failures with the account on the device.
    pub device: Option<Count>,
}

/// Attempts to sign in.
#[async_trait]
pub trait Attempts: Send + Sync {
    /// What an attempt to sign in depends on.
    async fn find_sign_in(&self, guess: &Guess, cx: &Context) -> Result<SignIn, Error>;

    /// Counts an attempt, if the counts are still those that it was made of. If they are not,
    /// another attempt got in between: nothing is counted, and the answer is no.
    async fn count_attempt(&self, attempt: &Attempt, cx: &Context) -> Result<bool, Error>;

    /// The attempt succeeded: failures from its address are forgotten, and it does not count over
    /// all addresses and all names.
    async fn clear_attempt(&self, attempt: &Attempt, cx: &Context) -> Result<(), Error>;

    /// The attempt was not tried after all: it does not count.
    async fn withdraw_attempt(&self, attempt: &Attempt, cx: &Context) -> Result<(), Error>;
}
