//! The context of a span, as it travels from process to process: W3C Trace Context.

use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use tracing::Span;

use crate::traced_span::context_of;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// Vendors' entries of more bytes than this are dropped (W3C Trace Context §3.3.1.5 requires at
/// least this many).
const STATE_LIMIT: usize = 512;

/// A position in a trace: the trace, the span, and whether they are exported.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceContext(pub(crate) SpanContext);

impl TraceContext {
    /// Parses these headers (W3C Trace Context §3.2 and §3.3). An invalid `tracestate` is dropped;
    /// an invalid `traceparent` gives `None`.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let version = hex(version, 2)?;
        // Later versions may have more fields after the flags; this one has not, and 255 is no
        // version.
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let trace = TraceId::from(hex(trace, 32)?);
        let span = SpanId::from(u64::try_from(hex(span, 16)?).ok()?);
        let flags = TraceFlags::new(u8::try_from(hex(flags, 2)?).ok()?) & TraceFlags::SAMPLED;
        let state = tracestate.filter(|state| state.len() <= STATE_LIMIT);
        let state = state
            .and_then(|state| TraceState::from_str(state).ok())
            .unwrap_or_default();
        let context = SpanContext::new(trace, span, flags, true, state);
        context.is_valid().then_some(Self(context))
    }

    /// The context in a request's headers.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        // More than one is as good as none: neither has precedence (§3.2).
        let mut given = headers.get_all(TRACEPARENT).iter();
        let (Some(parent), None) = (given.next(), given.next()) else {
            return None;
        };
        let state: Vec<_> = headers
            .get_all(TRACESTATE)
            .iter()
            .filter_map(|state| state.to_str().ok())
            .collect();
        let state = (!state.is_empty()).then(|| state.join(","));
        Self::parse(parent.to_str().ok()?, state.as_deref())
    }

    /// The context of the current span; `None` outside of any trace.
    pub fn current() -> Option<Self> {
        context_of(&Span::current()).map(Self)
    }

    /// The value of `traceparent`.
    pub fn traceparent(&self) -> String {
        let flags = self.0.trace_flags().to_u8();
        format!("00-{}-{}-{flags:02x}", self.0.trace_id(), self.0.span_id())
    }

    /// The value of `tracestate`; `None` when it is empty.
    pub fn tracestate(&self) -> Option<String> {
        Some(self.0.trace_state().header()).filter(|state| !state.is_empty())
    }

    /// Writes it into the headers, in place of the context that they carry.
    pub fn write_to(&self, headers: &mut HeaderMap) {
        headers.remove(TRACESTATE);
        if let Ok(parent) = HeaderValue::try_from(self.traceparent()) {
            headers.insert(TRACEPARENT, parent);
        }
        if let Some(Ok(state)) = self.tracestate().map(HeaderValue::try_from) {
            headers.insert(TRACESTATE, state);
        }
    }
}

/// The number that `digits` lower-case hexadecimal digits write.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (text.len() == digits && text.bytes().all(lower))
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_written_as_it_was_parsed() {
        for text in [SAMPLED, "00-0000000000000000000000000000000a-000000000000000b-00"] {
            let context = TraceContext::parse(text, Some("congo=t61rcWkgMzE,rojo=1")).unwrap();
            assert_eq!(context.traceparent(), text);
            assert_eq!(context.tracestate().unwrap(), "congo=t61rcWkgMzE,rojo=1");
        }
    }

    #[test]
    fn a_later_version_is_parsed_as_this_one_and_unknown_flags_are_dropped() {
        let later = TraceContext::parse(
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-what-else",
            None,
        )
        .unwrap();
        assert_eq!(later.traceparent(), SAMPLED);
    }

    #[test]
    fn an_invalid_traceparent_gives_no_context() {
        for wrong in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(wrong, None), None, "{wrong}");
        }
    }

    #[test]
    fn an_invalid_tracestate_is_dropped_alone() {
        for state in ["no entry", &format!("a={}", "x".repeat(600))] {
            let context = TraceContext::parse(SAMPLED, Some(state)).unwrap();
            assert_eq!((context.traceparent().as_str(), context.tracestate()), (SAMPLED, None));
        }
    }

    #[test]
    fn headers_carry_a_context_from_one_process_to_the_next() {
        let mut headers = HeaderMap::new();
        headers.insert("tracestate", HeaderValue::from_static("old=1"));
        TraceContext::parse(SAMPLED, None).unwrap().write_to(&mut headers);
        assert!(!headers.contains_key("tracestate"));
        assert_eq!(TraceContext::of(&headers).unwrap().traceparent(), SAMPLED);
        headers.append("traceparent", HeaderValue::from_static(SAMPLED));
        assert_eq!(TraceContext::of(&headers), None, "two are as good as none");
    }
}
