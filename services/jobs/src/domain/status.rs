//! Where a job stands.

/// Where a job stands; stored by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Waits for its time: the first, or that of its next attempt.
    Scheduled,
    /// Its message is on the way to a worker.
    Queued,
    /// A worker holds a lease of it.
    Running,
    /// Done.
    Succeeded,
    /// Ended by its handler, for a reason that every other attempt would meet.
    Failed,
    /// Ended by its owner.
    Cancelled,
    /// Ended because its attempts are used up.
    Dead,
}

impl Status {
    const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Dead,
    ];

    /// The name that stores keep.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Dead => "dead",
        }
    }

    /// The status of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether nothing more comes of it by itself.
    pub fn has_ended(self) -> bool {
        match self {
            Self::Scheduled | Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Dead => true,
        }
    }
}
