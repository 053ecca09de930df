//! What happened to a user, as far as it concerns their account.

/// An event of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserEvent {
    /// The user was deleted.
    Deleted,
    /// The user has another tier now, or none.
    TierChanged(Option<String>),
}
