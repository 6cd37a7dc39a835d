//! Spans that are for traces only, never for the log. They are exported while a collector is set (docs/metrics.md); otherwise none is made.
//!
//! A trace has an id that is in use already: a call's is its UUID on the switch, a request's is its `X-Request-Id`.

use std::sync::OnceLock;

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use tracing::{Span, field::Empty};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use uuid::Uuid;

/// The target of these spans.
pub const TARGET: &str = "dialplane_trace";

/// How many traces of 2^32 are kept.
static SHARE: OnceLock<u64> = OnceLock::new();

/// Traces are exported from now on: this share of them, from 0 to 1.
pub fn begin(share: f64) {
    let all = f64::from(u32::MAX) + 1.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 2^32")]
    let _ = SHARE.set((share.clamp(0.0, 1.0) * all) as u64);
}

/// Puts a span into the trace with this id. All nodes keep the same traces, so that none is kept in part.
pub fn belongs_to(span: &Span, id: Uuid) {
    let Some(share) = SHARE.get() else { return };
    let bytes = id.as_bytes();
    // These are random in each version of UUID that is used here.
    let drawn = u64::from(u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]]));
    let flags = if drawn < *share { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
    // Nobody has this span: whatever belongs to the id stands below it, wherever and whenever it was.
    let root = SpanId::from_bytes(std::array::from_fn(|at| bytes[8 + at]));
    let parent = SpanContext::new(TraceId::from_bytes(*bytes), root, flags, true, TraceState::default());
    // It fails for a span that no layer exports.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent));
}

/// A switch's fetch; `call` is the UUID of the call that it is about.
#[must_use]
pub fn fetch(kind: &'static str, call: Option<Uuid>) -> Span {
    let span = tracing::trace_span!(target: TARGET, "fetch", kind, source = Empty);
    if !span.is_disabled() {
        belongs_to(&span, call.unwrap_or_else(Uuid::new_v4));
    }
    span
}

/// The record of a leg.
#[must_use]
pub fn record(leg: Uuid) -> Span {
    let span = tracing::trace_span!(target: TARGET, "call record");
    if !span.is_disabled() {
        belongs_to(&span, leg);
    }
    span
}

/// What reads an answer from the database. Its statements are events of this span, without their values.
#[must_use]
pub fn fill() -> Span {
    tracing::trace_span!(target: TARGET, "fill")
}
