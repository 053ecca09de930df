//! How pressing a todo is.

/// How pressing a todo is; ordered, and stored by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// None.
    #[default]
    Unspecified,
    /// Can wait.
    Low,
    /// As most are.
    Medium,
    /// Comes first.
    High,
}

impl Priority {
    /// The number that stores keep and orders compare.
    pub fn number(self) -> i16 {
        self as i16
    }

    /// The priority of that number.
    pub fn from_number(number: i16) -> Option<Self> {
        [Self::Unspecified, Self::Low, Self::Medium, Self::High]
            .into_iter()
            .find(|priority| priority.number() == number)
    }
}
