//! How many mails are sent.

use uuid::Uuid;

/// How many mails are sent within [`MailLimits::WINDOW`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailLimits {
    /// To one address.
    pub per_address: i64,
    /// At the request of one account.
    pub per_account: i64,
}

/// A mail that is about to be sent.
#[derive(Debug, Clone)]
pub struct OutgoingMail {
    /// The job that sends it. Another attempt at it is the same mail.
    pub job: Uuid,
    /// The address that it goes to; unset before that is known, when it counts for the account alone.
    pub to: Option<String>,
    /// The account that requested it, if one did.
    pub account: Option<Uuid>,
}

impl MailLimits {
    /// The time in which mails are counted.
    pub const WINDOW: time::Duration = time::Duration::HOUR;
}
