//! Work that must not stop half-way because its caller goes away.

use quartet_rpc::Failure;
use tracing::Instrument;

use crate::Error;

/// Runs `work` to its end. A call is dropped when its client hangs up or its deadline passes; a
/// change that spans two services would then stop between them.
pub(crate) async fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    match tokio::spawn(work.in_current_span()).await {
        Ok(done) => done,
        Err(error) => {
            tracing::error!(%error, "a change that spans two services was broken off");
            Err(Failure::internal().into())
        }
    }
}
