//! Spans kept in memory, for tests of what is traced. (The SDK has the like behind a feature that would have it built once more for tests.)

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanExporter};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

pub use opentelemetry_sdk::trace::SpanData;

use crate::traces;

/// The spans that have ended.
#[derive(Debug, Clone, Default)]
pub struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl Kept {
    /// Keeps every span of this thread, until the guard is dropped.
    pub fn here() -> (Self, DefaultGuard) {
        Self::sampled(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
    }

    pub(crate) fn sampled(sampler: Sampler) -> (Self, DefaultGuard) {
        let kept = Self::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(kept.clone())
            .with_sampler(sampler)
            .build();
        let subscriber = tracing_subscriber::registry().with(traces::layer(&provider));
        (kept, tracing::subscriber::set_default(subscriber))
    }

    /// The spans so far, in the order in which they ended.
    pub fn spans(&self) -> Vec<SpanData> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch);
        Ok(())
    }
}
