//! A future that runs to its end even when nobody waits for it any more.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;
use tracing::Instrument;

/// Polled by whoever awaits it; once that is dropped, by a task of its own. Most are awaited to their
/// end, and a task for each would be a switch there and back.
pub(super) struct Unstoppable<F>(Option<Pin<Box<F>>>)
where
    F: Future<Output: Send> + Send + 'static;

impl<F: Future<Output: Send> + Send + 'static> Unstoppable<F> {
    pub(super) fn new(future: F) -> Self {
        Self(Some(Box::pin(future)))
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Unstoppable<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(future) = &mut self.0 else {
            // It has ended, and has nothing more to give.
            return Poll::Pending;
        };
        let output = ready!(future.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(output)
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Unstoppable<F> {
    fn drop(&mut self) {
        // What has panicked cannot be polled again, and where no runtime is there is nobody to do it.
        if let (Some(future), false, Ok(runtime)) = (self.0.take(), std::thread::panicking(), Handle::try_current()) {
            runtime.spawn(future.in_current_span());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn it_gives_its_output_to_whoever_awaits_it() {
        assert_eq!(Unstoppable::new(async { 7 }).await, 7);
    }

    #[tokio::test]
    async fn it_runs_on_when_nobody_waits_any_more() {
        let (go_on, gone_on) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let call = Unstoppable::new(async move {
            gone_on.await.unwrap();
            end.send(()).unwrap();
        });
        tokio::time::timeout(Duration::from_millis(1), call).await.unwrap_err();
        go_on.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(10), ended)
            .await
            .unwrap()
            .unwrap();
    }
}
