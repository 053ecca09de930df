//! Panics as log lines, so that they are where the other lines are, and have their trace.

use std::panic;

/// Logs panics from now on. What follows from one, such as the reply to a request, is its catcher's.
pub(crate) fn log() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(
            place,
            thread = thread.name().unwrap_or_default(),
            "panicked: {}",
            info.payload_as_str().unwrap_or("without a text")
        );
    }));
}
