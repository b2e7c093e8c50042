//! Who served an answer, as far as it shows: never more than the evidence. Headers can be forged and stripped, so
//! they make a declaration *consistent* and never confirm it; an id or field that only one host writes into its
//! bodies confirms it; a mark of another host contradicts it.
//!
//! The marks stand in the providers' descriptors (sources: recorded traffic; the header counts per host that were
//! taken from public recordings). A mark that more than one host was seen to write is no mark.

use crate::{endpoint::Endpoint, provider::Provider, registry};
use domain::{product::header::SIMULATED, record::ServedBy};
use http::{HeaderMap, HeaderName};
use memchr::memmem::Finder;
use std::{collections::HashMap, sync::LazyLock};

/// By what a host's answers are known.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint {
    /// Response headers that only this host was seen to write. A name that ends in `*` is a prefix.
    pub headers: &'static [&'static str],
    /// Headers whose value tells: name and the start of the value. Weaker than a name of its own: they make a
    /// declaration consistent and contradict nothing.
    pub shared: &'static [(&'static str, &'static str)],
    /// Prefixes of ids in bodies that only this host writes.
    pub ids: &'static [&'static str],
    /// Keys in bodies that only this host writes.
    pub fields: &'static [&'static str],
    /// The header that holds the host's id of the request.
    pub request_id: Option<&'static str>,
    /// The header that names a region.
    pub region: Option<&'static str>,
    /// Providers whose marks may show in this one's answers without contradicting it (who resells, passes on).
    pub may_show: MayShow,
}

/// Whose marks may show in a host's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MayShow {
    /// Only its own.
    Own,
    /// Also these providers'.
    Also(&'static [&'static str]),
    /// Anybody's: a reseller, or a host that was not named.
    Any,
}

impl Fingerprint {
    /// No marks known; anybody may be behind it.
    pub const NONE: Self = Self {
        headers: &[],
        shared: &[],
        ids: &[],
        fields: &[],
        request_id: Some("x-request-id"),
        region: None,
        may_show: MayShow::Any,
    };
}

/// What of a body may tell who wrote it.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyMarks<'a> {
    /// The answer's id.
    pub id: Option<&'a str>,
    /// The body or its first events. Only the first and last [`SCANNED`] bytes are read.
    pub bytes: &'a [u8],
}

/// How many bytes at each end of a body are searched for marks.
pub const SCANNED: usize = 4096;

/// Who served an answer, as far as it shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The verdict.
    pub verdict: ServedBy,
    /// What it rests on.
    pub signals: Vec<Signal>,
    /// The region that the host named, as spelled, at most 64 bytes.
    pub region: Option<Box<str>>,
    /// The host's id of the request, at most 128 bytes.
    pub request_id: Option<Box<str>>,
}

/// One mark that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Whose mark it is.
    pub host: &'static str,
    /// The header, id prefix or field.
    pub mark: &'static str,
    /// Where it was seen.
    pub seen_in: SeenIn,
}

/// Where a mark was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeenIn {
    /// A response header.
    Header,
    /// An id in the body.
    Id,
    /// A key in the body.
    Field,
}

/// The verdict for an answer of `endpoint`.
#[must_use]
pub fn judge(endpoint: &Endpoint, headers: &HeaderMap, body: BodyMarks<'_>) -> Evidence {
    let declared = endpoint.provider().descriptor();
    let own = &declared.fingerprint;
    let mut evidence = Evidence {
        verdict: ServedBy::Unknown,
        signals: Vec::new(),
        region: own.region.and_then(|name| text(headers, name, 64)),
        request_id: own.request_id.and_then(|name| text(headers, name, 128)),
    };
    if headers.contains_key(SIMULATED) {
        evidence.verdict = ServedBy::Simulated;
        return evidence;
    }
    let heard = |host: &str| {
        host == declared.id
            || match own.may_show {
                MayShow::Own => true,
                MayShow::Also(ids) => !ids.contains(&host),
                MayShow::Any => false,
            }
    };
    MARKS.collect(headers, body, heard, &mut evidence.signals);
    let own_marks = || evidence.signals.iter().filter(|signal| signal.host == declared.id);
    let contradicted = own_marks().count() < evidence.signals.len();
    let confirmed = own_marks().any(|signal| signal.seen_in != SeenIn::Header);
    let consistent = own_marks().next().is_some() || shared(own, headers, &mut evidence.signals, declared.id);
    evidence.verdict = if contradicted {
        ServedBy::Contradicted
    } else if confirmed {
        ServedBy::Confirmed
    } else if consistent {
        ServedBy::Consistent
    } else {
        ServedBy::Unknown
    };
    evidence
}

/// The marks of all hosts, arranged for one pass over an answer.
struct Marks {
    headers: HashMap<&'static str, &'static str>,
    prefixes: Vec<(&'static str, &'static str)>,
    ids: Vec<(&'static str, &'static str)>,
    fields: Vec<(&'static str, &'static str, Finder<'static>)>,
}

/// Mark → host, from the descriptors.
static MARKS: LazyLock<Marks> = LazyLock::new(|| {
    let mut marks =
        Marks { headers: HashMap::new(), prefixes: Vec::new(), ids: Vec::new(), fields: Vec::new() };
    for descriptor in registry::providers().map(Provider::descriptor) {
        let print = &descriptor.fingerprint;
        for mark in print.headers {
            if mark.ends_with('*') {
                marks.prefixes.push((mark, descriptor.id));
            } else {
                marks.headers.insert(mark, descriptor.id);
            }
        }
        marks.ids.extend(print.ids.iter().map(|mark| (*mark, descriptor.id)));
        marks.fields.extend(print.fields.iter().map(|mark| (*mark, descriptor.id, Finder::new(*mark))));
    }
    marks
});

impl Marks {
    /// Appends the marks that are there, of hosts that are `heard`.
    fn collect(
        &self,
        headers: &HeaderMap,
        body: BodyMarks<'_>,
        heard: impl Fn(&str) -> bool,
        out: &mut Vec<Signal>,
    ) {
        for name in headers.keys().map(HeaderName::as_str) {
            let exact = self.headers.get_key_value(name).map(|(mark, host)| (*mark, *host));
            let by_prefix = || {
                self.prefixes.iter().copied().find(|(mark, _)| name.starts_with(mark.trim_end_matches('*')))
            };
            let seen = exact.or_else(by_prefix).filter(|(_, host)| heard(host));
            // A family of headers (`anthropic-ratelimit-*`) is one mark.
            if let Some((mark, host)) = seen
                && !out.iter().any(|signal| signal.mark == mark)
            {
                out.push(Signal { host, mark, seen_in: SeenIn::Header });
            }
        }
        for (mark, host) in self.ids.iter().copied().filter(|(_, host)| heard(host)) {
            if body.id.is_some_and(|id| id.starts_with(mark)) {
                out.push(Signal { host, mark, seen_in: SeenIn::Id });
            }
        }
        for (mark, host, finder) in &self.fields {
            let (mark, host) = (*mark, *host);
            if !body.bytes.is_empty() && heard(host) && has_key(body.bytes, finder) {
                out.push(Signal { host, mark, seen_in: SeenIn::Field });
            }
        }
    }
}

/// Appends the shared marks that agree; true where one does.
fn shared(own: &Fingerprint, headers: &HeaderMap, out: &mut Vec<Signal>, host: &'static str) -> bool {
    let before = out.len();
    for (name, start) in own.shared {
        let agrees = headers
            .get_all(*name)
            .iter()
            .any(|value| value.to_str().is_ok_and(|value| value.starts_with(start)));
        if agrees {
            out.push(Signal { host, mark: name, seen_in: SeenIn::Header });
        }
    }
    out.len() > before
}

/// Whether `"key":` stands near either end of `bytes`. In a JSON text that a model wrote the quotes would be
/// escaped, so only a real key matches.
fn has_key(bytes: &[u8], key: &Finder<'_>) -> bool {
    let length = key.needle().len();
    let head = bytes.get(..bytes.len().min(SCANNED)).unwrap_or_default();
    let tail = bytes.get(bytes.len().saturating_sub(SCANNED).max(head.len())..).unwrap_or_default();
    [head, tail].into_iter().any(|part| {
        key.find_iter(part).any(|at| {
            let quoted = at.checked_sub(1).and_then(|before| part.get(before)) == Some(&b'"');
            let unescaped = at.checked_sub(2).and_then(|before| part.get(before)) != Some(&b'\\');
            let rest = part.get(at + length..).unwrap_or_default();
            let colon = rest
                .strip_prefix(b"\"")
                .is_some_and(|rest| rest.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b':'));
            quoted && unescaped && colon
        })
    })
}

fn text(headers: &HeaderMap, name: &str, most: usize) -> Option<Box<str>> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(value.get(..value.len().min(most)).unwrap_or(value).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_key_is_a_mark() {
        assert!(has_key(br#"{"a":1,"trafficType" : "ON_DEMAND"}"#, &Finder::new("trafficType")));
        for not in [
            r#"{"content":"\"trafficType\": 1"}"#,
            r#"{"content":"trafficType"}"#,
            r#"{"content":"say trafficType\": x"}"#,
            r#"{"xtrafficType":1}"#,
            "",
        ] {
            assert!(!has_key(not.as_bytes(), &Finder::new("trafficType")), "{not}");
        }
        let mut long = vec![b' '; 3 * SCANNED];
        long.extend_from_slice(br#""trafficType":1}"#);
        assert!(has_key(&long, &Finder::new("trafficType")));
    }
}
