//! Where spans are exported to, and which of them.
//!
//! The exporter uses OTLP over gRPC: tonic is a dependency already, so it adds no crate but
//! OpenTelemetry's own. Without an endpoint nothing is recorded of spans (see [`crate::traced_span`]):
//! log lines have their ids and the client's sampling decision is passed on all the same.

use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample};
use tracing::{Level, Metadata};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::{Layer, Registry};

use crate::{Config, Error};

/// Bound on the export of what is left when a process ends.
pub(crate) const LAST_EXPORT: Duration = Duration::from_secs(3);

/// Where the collector is: `http://host:port` or `https://host:port`.
#[derive(Debug, Clone)]
pub struct Endpoint(pub(crate) String);

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "expected an address such as `http://host:4317`";
        let uri: Uri = text.parse().map_err(|_| RULE)?;
        match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(_)) => Ok(Self(text.to_owned())),
            _ => Err(RULE),
        }
    }
}

/// Which traces are exported, by the names of the OpenTelemetry specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    root: Root,
    parent_based: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    All,
    None,
    Share,
}

impl FromStr for Choice {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (parent_based, name) = match text.strip_prefix("parentbased_") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let root = match name {
            "always_on" => Root::All,
            "always_off" => Root::None,
            "traceidratio" => Root::Share,
            _ => return Err("expected always_on, always_off or traceidratio, alone or after `parentbased_`"),
        };
        Ok(Self { root, parent_based })
    }
}

/// A share, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio(pub f64);

impl FromStr for Ratio {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.map(Self).ok_or("expected a number from 0 to 1")
    }
}

/// What records spans: the layer of [`layer`] on a registry.
pub(crate) type Recorder = OpenTelemetryLayer<Registry, SdkTracer>;

/// Records spans and exports them, where an endpoint is set.
pub(crate) fn provider(config: &Config, resource: Resource) -> Result<Option<SdkTracerProvider>, Error> {
    let Some(endpoint) = &config.otlp_endpoint else {
        return Ok(None);
    };
    let exporter = SpanExporter::builder().with_tonic().with_endpoint(&endpoint.0).build();
    let exporter = exporter.map_err(|error| Error::Exporter(error.to_string()))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(sampler(&config.traces_sampler, config.traces_sampler_arg.0))
        .with_resource(resource)
        .build();
    Ok(Some(provider))
}

/// Exports the spans of this suite's crates, with the warnings and errors within them as events.
pub fn layer(provider: &SdkTracerProvider) -> impl Layer<Registry> + use<> {
    let wanted =
        |metadata: &Metadata<'_>| is_ours(metadata) && (metadata.is_span() || *metadata.level() <= Level::WARN);
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("quartet"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        // The parent of a span is the one in `tracing`; a second stack of contexts would cost at
        // each poll.
        .with_context_activation(false)
        .with_filter(filter_fn(wanted).with_max_level_hint(LevelFilter::INFO))
}

/// Whether a span or an event is of the suite's own crates, not of a library.
pub(crate) fn is_ours(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO && metadata.target().starts_with("quartet")
}

pub(crate) fn sampler(choice: &Choice, ratio: f64) -> Sampler {
    let root = match choice.root {
        Root::All => Sampler::AlwaysOn,
        Root::None => Sampler::AlwaysOff,
        Root::Share => Sampler::TraceIdRatioBased(ratio),
    };
    match choice.parent_based {
        true => Sampler::ParentBased(Box::new(LinkBased(root))),
        false => root,
    }
}

/// Samples the root span of a trace: a trace with a link is exported if the linked one is, so that
/// no chain of traces is exported in part.
#[derive(Debug, Clone)]
struct LinkBased(Sampler);

impl ShouldSample for LinkBased {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let sampled = links.iter().any(|link| link.span_context.is_sampled());
        let decision = match (links, sampled) {
            ([], _) => return self.0.should_sample(parent, trace_id, name, kind, attributes, links),
            (_, true) => SamplingDecision::RecordAndSample,
            (_, false) => SamplingDecision::Drop,
        };
        SamplingResult {
            decision,
            attributes: Vec::new(),
            trace_state: parent
                .map(|parent| parent.span().span_context().trace_state().clone())
                .unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_settings_are_refused() {
        for wrong in ["", "localhost:4317", "ftp://localhost", "http://"] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong}");
        }
        for wrong in ["", "-0.1", "1.1", "NaN", "half"] {
            assert!(wrong.parse::<Ratio>().is_err(), "{wrong}");
        }
        for wrong in ["", "on", "parentbased_", "xray"] {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
    }
}
