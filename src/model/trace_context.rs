//! The distributed trace that a request belongs to (W3C Trace Context): `traceparent` and `tracestate`.

/// The largest `tracestate` that is handed on, in bytes.
const MAX_STATE_BYTES: usize = 512;

/// A trace, as its members tell each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 hex digits, the same for all that belongs to the trace.
    pub trace_id: String,
    /// Whether the client records it.
    pub sampled: bool,
    /// What other systems want to be told, as it came.
    pub state: Option<String>,
}

impl TraceContext {
    /// What the headers say; none when `traceparent` is not as the specification has it. Of a later version than 00 the
    /// parts that it shares with 00 are read.
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let text = traceparent.trim_matches([' ', '\t']);
        let mut parts = text.splitn(5, '-');
        let [version, trace_id, span_id, flags] =
            [(2, false), (32, true), (16, true), (2, false)].map(|(len, is_id)| {
                parts.next().filter(|it| is_hex(it, len) && (!is_id || it.bytes().any(|b| b != b'0')))
            });
        let (version, trace_id, _, flags) = (version?, trace_id?, span_id?, flags?);
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        let state = tracestate.map(str::trim);
        let state = state.filter(|it| !it.is_empty() && it.len() <= MAX_STATE_BYTES);
        Some(TraceContext { trace_id: trace_id.to_owned(), sampled, state: state.map(str::to_owned) })
    }

    /// A trace of its own; `trace_id` is 32 hex digits.
    pub fn begin(trace_id: String) -> Self {
        TraceContext { trace_id, sampled: false, state: None }
    }

    /// The `traceparent` of something that the trace leads to, whose span is `span_id`.
    pub fn child(&self, span_id: u64) -> String {
        format!("00-{}-{:016x}-{:02x}", self.trace_id, span_id.max(1), u8::from(self.sampled))
    }
}

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_valid_header_is_read_and_handed_on_with_a_span_of_its_own() {
        let read = TraceContext::parse(&format!("00-{TRACE}-00f067aa0ba902b7-01"), Some("a=b, c=d")).unwrap();
        assert_eq!(
            (read.trace_id.as_str(), read.sampled, read.state.as_deref()),
            (TRACE, true, Some("a=b, c=d"))
        );
        assert_eq!(read.child(0x1f), format!("00-{TRACE}-000000000000001f-01"));
        let later = TraceContext::parse(&format!("cc-{TRACE}-00f067aa0ba902b7-00-what-comes"), None).unwrap();
        assert_eq!((later.sampled, later.state), (false, None));
        let long = "x".repeat(600);
        assert_eq!(
            TraceContext::parse(&format!("00-{TRACE}-00f067aa0ba902b7-00"), Some(&long)).unwrap().state,
            None
        );
    }

    #[test]
    fn what_is_not_as_the_specification_has_it_is_no_trace() {
        for wrong in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
        ] {
            assert_eq!(TraceContext::parse(wrong, None), None, "{wrong}");
        }
    }
}
