//! What a user may do.

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reaches what is their own.
    User,
    /// Administers the suite.
    Superuser,
}

impl Role {
    /// The name, as tokens and stores write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Superuser => "superuser",
        }
    }

    /// The role of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::User, Self::Superuser]
            .into_iter()
            .find(|role| role.name() == name)
    }
}
