//! Metrics to a collector, by OTLP.

use std::collections::HashMap;
use std::hash::Hash;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};
use opentelemetry_otlp::{MetricExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{Aggregation, Instrument, SdkMeterProvider, Stream};
use parking_lot::Mutex;

use super::buckets;
use crate::Error;

/// Records metrics for a collector. A series is one instrument from its first value on: the library
/// makes a new one for each handle, which would count from zero again.
pub(crate) struct Recorder {
    instruments: metrics_exporter_opentelemetry::Recorder,
    counters: Mutex<HashMap<Key, Counter>>,
    gauges: Mutex<HashMap<Key, Gauge>>,
    histograms: Mutex<HashMap<Key, Histogram>>,
}

/// Exports metrics to `endpoint`, every `OTEL_METRIC_EXPORT_INTERVAL`.
pub(crate) fn provider(endpoint: &str, resource: Resource) -> Result<(SdkMeterProvider, Recorder), Error> {
    let exporter = MetricExporter::builder().with_tonic().with_endpoint(endpoint).build();
    let exporter = exporter.map_err(|error| Error::Exporter(error.to_string()))?;
    let (provider, instruments) = metrics_exporter_opentelemetry::Recorder::builder("quartet")
        .with_meter_provider(|builder| {
            builder
                .with_periodic_exporter(exporter)
                .with_resource(resource)
                .with_view(in_seconds)
        })
        .build();
    let recorder = Recorder {
        instruments,
        counters: Mutex::default(),
        gauges: Mutex::default(),
        histograms: Mutex::default(),
    };
    Ok((provider, recorder))
}

/// The buckets of a histogram, which are those that Prometheus gets.
fn in_seconds(instrument: &Instrument) -> Option<Stream> {
    let aggregation = Aggregation::ExplicitBucketHistogram {
        boundaries: buckets(instrument.name())?.to_vec(),
        record_min_max: true,
    };
    Stream::builder().with_aggregation(aggregation).build().ok()
}

/// The handle of a series, which `make` makes the first time.
fn handle<K: Clone + Eq + Hash, H: Clone>(made: &Mutex<HashMap<K, H>>, key: &K, make: impl FnOnce() -> H) -> H {
    let mut made = made.lock();
    match made.get(key) {
        Some(handle) => handle.clone(),
        None => made.entry(key.clone()).or_insert(make()).clone(),
    }
}

impl metrics::Recorder for Recorder {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.instruments.describe_counter(key, unit, description);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.instruments.describe_gauge(key, unit, description);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, description: SharedString) {
        self.instruments.describe_histogram(key, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        handle(&self.counters, key, || self.instruments.register_counter(key, metadata))
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        handle(&self.gauges, key, || self.instruments.register_gauge(key, metadata))
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        handle(&self.histograms, key, || {
            self.instruments.register_histogram(key, metadata)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_series_has_one_handle() {
        let (made, calls) = (Mutex::default(), Arc::new(AtomicUsize::new(0)));
        for key in ["a", "a", "b", "a"] {
            handle(&made, &key, || calls.fetch_add(1, Ordering::Relaxed));
        }
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }
}
