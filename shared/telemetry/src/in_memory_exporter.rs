//! An exporter that keeps finished spans in memory, for tests of traces. (The SDK has one behind a
//! feature, which would build the SDK a second time for tests.)

use std::sync::Arc;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanExporter};
use parking_lot::Mutex;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt;

pub use opentelemetry_sdk::trace::SpanData;

use crate::traces;

/// Keeps the spans that have ended.
#[derive(Debug, Clone, Default)]
pub struct InMemoryExporter(Arc<Mutex<Vec<SpanData>>>);

impl InMemoryExporter {
    /// Exports every span of this thread to memory, until the guard is dropped.
    pub fn install() -> (Self, DefaultGuard) {
        Self::install_with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
    }

    pub(crate) fn install_with_sampler(sampler: Sampler) -> (Self, DefaultGuard) {
        // Whether a callsite is of interest is cached for all threads. Without a subscriber everywhere, a
        // thread without one that is first at a callsite would turn it off for this one too.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry());
        let exporter = Self::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .with_sampler(sampler)
            .build();
        let subscriber = tracing_subscriber::registry().with(traces::layer(&provider));
        (exporter, tracing::subscriber::set_default(subscriber))
    }

    /// The spans so far, in the order in which they ended.
    pub fn finished_spans(&self) -> Vec<SpanData> {
        self.0.lock().clone()
    }
}

impl SpanExporter for InMemoryExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().extend(batch);
        Ok(())
    }
}
