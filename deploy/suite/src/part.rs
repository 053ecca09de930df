//! A part of the suite in a process of its own. `quartet` is every program: called by the name of a
//! part, or with it as its command, it is that part. So an image needs one program.

use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;

/// A part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Auth,
    Users,
    Todos,
    Jobs,
    Gateway,
}

impl Part {
    /// The part whose name this process was called by.
    pub(crate) fn called() -> Option<Self> {
        let path = std::env::args_os().next()?;
        Self::from_str(Path::new(&path).file_name()?.to_str()?, false).ok()
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Users => "users",
            Self::Todos => "todos",
            Self::Jobs => "jobs",
            Self::Gateway => "gateway",
        }
    }

    /// Serves until SIGTERM or SIGINT.
    pub(crate) async fn serve(self) -> ExitCode {
        match self {
            Self::Auth => quartet_auth::process::main().await,
            Self::Users => quartet_users::process::main().await,
            Self::Todos => quartet_todos::process::main().await,
            Self::Jobs => quartet_jobs::process::main().await,
            Self::Gateway => quartet_gateway::process::main().await,
        }
    }
}
