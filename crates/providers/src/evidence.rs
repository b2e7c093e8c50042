//! Who served an answer, as far as it shows: never more than the evidence. Headers can be forged and stripped, so
//! they make a declaration *consistent* and never confirm it; an id or field that only one host writes into its
//! bodies confirms it; a mark of another host contradicts it.
//!
//! The marks stand in the providers' descriptors (sources: recorded traffic; the header counts per host that were
//! taken from public recordings). A mark that more than one host was seen to write is no mark.

use crate::{
    endpoint::Endpoint,
    provider::{Descriptor, Provider},
    registry,
};
use domain::{product::header::SIMULATED, record::ServedBy};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr;
use std::sync::LazyLock;

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
    let Hearing { own, heard, fields } = *endpoint.hearing();
    let marks = &*MARKS;
    let Some(host) = marks.hosts.get(usize::from(own)) else { return Evidence::default() };
    let mut evidence = Evidence::default();
    let head = marks.of_headers(headers, own, heard, &mut evidence.signals);
    evidence.region = head.region.and_then(|value| text(value, 64));
    evidence.request_id = head.request_id.and_then(|value| text(value, 128));
    if head.simulated {
        evidence.verdict = ServedBy::Simulated;
        evidence.signals.clear();
        return evidence;
    }
    marks.of_body(body, heard, fields, &mut evidence.signals);
    let own_marks = || evidence.signals.iter().filter(|signal| signal.host == host.id);
    let contradicted = own_marks().count() < evidence.signals.len();
    let confirmed = own_marks().any(|signal| signal.seen_in != SeenIn::Header);
    let consistent = own_marks().next().is_some() || host.shared(headers, &mut evidence.signals);
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

/// Whose marks tell something in an endpoint's answers. Found once, when the endpoint is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hearing {
    /// The place of its own host in the registry.
    own: u8,
    /// The hosts that are heard.
    heard: Bits,
    /// The fields in [`Marks`] that are heard.
    fields: Bits,
}

impl Hearing {
    /// Of a provider's endpoints.
    pub(crate) fn of(declared: &Descriptor) -> Self {
        let mut hearing = Self::default();
        for (at, host) in MARKS.hosts.iter().enumerate() {
            let own = host.id == declared.id;
            let heard = own
                || match declared.fingerprint.may_show {
                    MayShow::Own => true,
                    MayShow::Also(ids) => !ids.contains(&host.id),
                    MayShow::Any => false,
                };
            if own {
                hearing.own = u8::try_from(at).unwrap_or(u8::MAX);
            }
            if heard {
                hearing.heard |= bit(at);
            }
        }
        for (at, (_, host)) in MARKS.fields.iter().enumerate() {
            if hearing.heard & bit(usize::from(*host)) != 0 {
                hearing.fields |= bit(at);
            }
        }
        hearing
    }
}

/// One bit per host or field, by its place in the registry. A test holds that they are enough.
type Bits = u64;

fn bit(at: usize) -> Bits {
    u32::try_from(at).ok().and_then(|at| Bits::checked_shl(1, at)).unwrap_or(0)
}

/// The marks of all hosts, arranged for one pass over an answer's headers and one over its body.
struct Marks {
    hosts: Vec<Host>,
    /// Sorted by slot; those of whole names before those of prefixes.
    headers: Vec<HeaderMark>,
    /// Slot → the first in `headers` and one more; 0 where there is none.
    slots: [u8; 256],
    ids: Vec<(&'static str, u8)>,
    fields: Vec<(&'static str, u8)>,
    /// Which three bytes stand at the end of some field, by [`gram`].
    grams: [bool; 1 << GRAM_BITS],
}

/// A host, as far as its answers are looked at.
struct Host {
    id: &'static str,
    shared: Vec<(HeaderName, &'static str, &'static str)>,
}

/// What a header's name may tell, of all hosts together.
struct HeaderMark {
    slot: u8,
    mark: &'static str,
    /// The mark without the `*` of a prefix.
    stem: &'static str,
    is_prefix: bool,
    /// Whose mark it is.
    host: Option<u8>,
    /// The hosts that write their id of the request there.
    request_id: Bits,
    /// The hosts that name the region there.
    region: Bits,
    simulated: bool,
}

/// What the headers tell beside marks.
#[derive(Default)]
struct Head<'a> {
    request_id: Option<&'a HeaderValue>,
    region: Option<&'a HeaderValue>,
    simulated: bool,
}

/// Everything from the descriptors.
static MARKS: LazyLock<Marks> = LazyLock::new(|| {
    let mut marks = Marks {
        hosts: Vec::new(),
        headers: Vec::new(),
        slots: [0; 256],
        ids: Vec::new(),
        fields: Vec::new(),
        grams: [false; 1 << GRAM_BITS],
    };
    marks.header(SIMULATED, |header| header.simulated = true);
    for (at, descriptor) in registry::providers().map(Provider::descriptor).enumerate() {
        let (print, host) = (&descriptor.fingerprint, u8::try_from(at).unwrap_or(u8::MAX));
        for mark in print.headers {
            marks.header(mark, |header| header.host = Some(host));
        }
        if let Some(name) = print.request_id {
            marks.header(name, |header| header.request_id |= bit(at));
        }
        if let Some(name) = print.region {
            marks.header(name, |header| header.region |= bit(at));
        }
        marks.ids.extend(print.ids.iter().map(|mark| (*mark, host)));
        for mark in print.fields {
            marks.fields.push((mark, host));
            marks.sample(mark);
        }
        let shared = print.shared.iter().filter_map(|(name, start)| {
            HeaderName::try_from(*name).ok().map(|parsed| (parsed, *name, *start))
        });
        marks.hosts.push(Host { id: descriptor.id, shared: shared.collect() });
    }
    marks.headers.sort_by_key(|header| (header.slot, header.is_prefix));
    for (at, header) in (1..).zip(&marks.headers) {
        if let Some(first @ 0) = marks.slots.get_mut(usize::from(header.slot)) {
            *first = at;
        }
    }
    marks
});

/// By how many bytes at its start a header's name is looked up; a shorter one is no mark.
const LOOKED_UP: usize = 8;

fn slot(start: [u8; LOOKED_UP]) -> u8 {
    let [.., last] = u64::from_le_bytes(start).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
    last
}

/// How many bytes of a body are stepped over between two that are looked at.
const STRIDE: usize = 6;
/// The end of a quoted key in which one look of three bytes falls, wherever the steps begin.
const WINDOW: usize = STRIDE + 2;
const GRAM_BITS: u32 = 11;

/// The place in [`Marks::grams`] of the first three of four bytes: the multiplier has no bits for the fourth.
fn gram(bytes: [u8; 4]) -> usize {
    (u32::from_le_bytes(bytes).wrapping_mul(0x3779_B100) >> (u32::BITS - GRAM_BITS)) as usize
}

impl Marks {
    /// Notes what a header of this name or prefix tells.
    fn header(&mut self, mark: &'static str, note: impl FnOnce(&mut HeaderMark)) {
        if let Some(known) = self.headers.iter_mut().find(|header| header.mark == mark) {
            return note(known);
        }
        let stem = mark.trim_end_matches('*');
        let slot = stem.as_bytes().first_chunk().map_or(0, |start| slot(*start));
        let is_prefix = stem.len() < mark.len();
        let (host, request_id, region, simulated) = (None, 0, 0, false);
        let mut new = HeaderMark { slot, mark, stem, is_prefix, host, request_id, region, simulated };
        note(&mut new);
        self.headers.push(new);
    }

    /// Notes what may be met at the end of a field.
    fn sample(&mut self, field: &str) {
        let quoted = format!("\"{field}\"");
        let window = quoted.as_bytes().last_chunk::<WINDOW>().map_or(&[][..], |window| window);
        for three in window.windows(3) {
            if let [a, b, c] = *three
                && let Some(known) = self.grams.get_mut(gram([a, b, c, 0]))
            {
                *known = true;
            }
        }
    }

    /// Appends the marks in the headers, of hosts that are heard.
    fn of_headers<'a>(
        &self,
        headers: &'a HeaderMap,
        own: u8,
        heard: Bits,
        out: &mut Vec<Signal>,
    ) -> Head<'a> {
        let own = bit(usize::from(own));
        let mut head = Head::default();
        for (name, value) in headers {
            let name = name.as_str();
            let Some(start) = name.as_bytes().first_chunk() else { continue };
            let slot = slot(*start);
            let Some(first) = self.slots.get(usize::from(slot)).and_then(|at| at.checked_sub(1)) else {
                continue;
            };
            let near = self.headers.get(usize::from(first)..).unwrap_or_default();
            let near = near.iter().take_while(|header| header.slot == slot);
            let mut found = None;
            for header in near.filter(|header| header.matches(name)) {
                // A header may stand there more than once: the first of them tells.
                if header.request_id & own != 0 {
                    head.request_id.get_or_insert(value);
                }
                if header.region & own != 0 {
                    head.region.get_or_insert(value);
                }
                head.simulated |= header.simulated;
                found = found.or_else(|| Some((header.mark, header.host?)));
            }
            // A family of headers (`anthropic-ratelimit-*`) is one mark.
            if let Some((mark, host)) = found
                && !out.iter().any(|signal| signal.mark == mark)
            {
                self.seen(mark, host, heard, SeenIn::Header, out);
            }
        }
        head
    }

    /// Appends the marks in a body.
    fn of_body(&self, body: BodyMarks<'_>, heard: Bits, fields: Bits, out: &mut Vec<Signal>) {
        if let Some(id) = body.id {
            let first = id.as_bytes().first();
            for (mark, host) in &self.ids {
                if mark.as_bytes().first() == first && id.starts_with(mark) {
                    self.seen(mark, *host, heard, SeenIn::Id, out);
                }
            }
        }
        let found = self.fields_in(body.bytes, fields);
        if found != 0 {
            for (at, (mark, host)) in self.fields.iter().enumerate() {
                if found & bit(at) != 0 {
                    self.seen(mark, *host, heard, SeenIn::Field, out);
                }
            }
        }
    }

    fn seen(&self, mark: &'static str, host: u8, heard: Bits, seen_in: SeenIn, out: &mut Vec<Signal>) {
        let at = usize::from(host);
        if heard & bit(at) != 0
            && let Some(host) = self.hosts.get(at)
        {
            out.push(Signal { host: host.id, mark, seen_in });
        }
    }

    /// Which of the `wanted` fields stand as keys near either end of `bytes`.
    fn fields_in(&self, bytes: &[u8], wanted: Bits) -> Bits {
        if wanted == 0 || bytes.is_empty() {
            return 0;
        }
        let head = bytes.get(..bytes.len().min(SCANNED)).unwrap_or_default();
        let tail = bytes.get(bytes.len().saturating_sub(SCANNED).max(head.len())..).unwrap_or_default();
        self.keys_in(head, wanted) | self.keys_in(tail, wanted)
    }

    /// Which of the `wanted` fields are keys in `part`. Every sixth byte and the two after it are looked at: the
    /// last eight of a quoted key hold one such look, so most of a body is stepped over.
    fn keys_in(&self, part: &[u8], wanted: Bits) -> Bits {
        let known = |[a, b, c, d, ..]: &[u8; STRIDE]| self.grams.get(gram([*a, *b, *c, *d])) == Some(&true);
        let mut found = 0;
        let mut at = 0;
        // Four looks and one branch.
        let (blocks, rest) = part.as_chunks::<{ 4 * STRIDE }>();
        for block in blocks {
            let (strides, _) = block.as_chunks::<STRIDE>();
            if strides.iter().fold(false, |any, stride| any | known(stride)) {
                for (n, _) in strides.iter().enumerate().filter(|(_, stride)| known(stride)) {
                    found |= self.key_around(part, at + n * STRIDE, wanted);
                }
            }
            at += block.len();
        }
        for stride in rest.chunks(STRIDE) {
            if let [a, b, c, ..] = *stride
                && self.grams.get(gram([a, b, c, 0])) == Some(&true)
            {
                found |= self.key_around(part, at, wanted);
            }
            at += stride.len();
        }
        found
    }

    /// Which of the `wanted` fields is the key that `at` lies in, if it is one: `"key":`. In a JSON text that a
    /// model wrote the quotes would be escaped, so only a real key matches.
    fn key_around(&self, part: &[u8], at: usize, wanted: Bits) -> Bits {
        let colon = part.get(at..).and_then(|rest| memchr(b':', rest)).and_then(|far| part.get(..at + far));
        let Some(text) = colon.and_then(|before| before.trim_ascii_end().strip_suffix(b"\"")) else {
            return 0;
        };
        let end = text.last();
        let is_it = |field: &str| {
            if field.as_bytes().last() != end {
                return false;
            }
            text.strip_suffix(field.as_bytes())
                .and_then(|before| before.strip_suffix(b"\""))
                .is_some_and(|before| before.last() != Some(&b'\\'))
        };
        let fields = self.fields.iter().enumerate().filter(|(_, (field, _))| is_it(field));
        fields.fold(0, |found, (at, _)| found | bit(at)) & wanted
    }
}

impl HeaderMark {
    fn matches(&self, name: &str) -> bool {
        if self.is_prefix { name.starts_with(self.stem) } else { name == self.stem }
    }
}

impl Host {
    /// Appends the shared marks that agree; true where one does.
    fn shared(&self, headers: &HeaderMap, out: &mut Vec<Signal>) -> bool {
        let before = out.len();
        for (name, mark, start) in &self.shared {
            let agrees = headers
                .get_all(name)
                .iter()
                .any(|value| value.to_str().is_ok_and(|value| value.starts_with(start)));
            if agrees {
                out.push(Signal { host: self.id, mark, seen_in: SeenIn::Header });
            }
        }
        out.len() > before
    }
}

fn text(value: &HeaderValue, most: usize) -> Option<Box<str>> {
    let value = value.to_str().ok()?;
    Some(value.get(..value.len().min(most)).unwrap_or(value).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::some;

    fn has_key(bytes: &[u8], field: &str) -> bool {
        let wanted = MARKS.fields.iter().position(|(mark, _)| *mark == field).map_or(0, bit);
        MARKS.fields_in(bytes, wanted) != 0
    }

    #[test]
    fn only_a_real_key_is_a_mark() {
        assert!(has_key(br#"{"a":1,"trafficType" : "ON_DEMAND"}"#, "trafficType"));
        for not in [
            r#"{"content":"\"trafficType\": 1"}"#,
            r#"{"content":"trafficType"}"#,
            r#"{"content":"say trafficType\": x"}"#,
            r#"{"xtrafficType":1}"#,
            "",
        ] {
            assert!(!has_key(not.as_bytes(), "trafficType"), "{not}");
        }
        let mut long = vec![b' '; 3 * SCANNED];
        long.extend_from_slice(br#""trafficType":1}"#);
        assert!(has_key(&long, "trafficType"));
    }

    #[test]
    fn no_mark_is_too_short_or_one_too_many() {
        assert!(MARKS.hosts.len() <= Bits::BITS as usize && MARKS.fields.len() <= Bits::BITS as usize);
        assert!(MARKS.headers.len() < usize::from(u8::MAX));
        for HeaderMark { stem, mark, .. } in &MARKS.headers {
            assert!(stem.len() >= LOOKED_UP, "{mark}: names are looked up by their first {LOOKED_UP} bytes");
        }
        for (field, _) in &MARKS.fields {
            assert!(field.len() + 2 >= WINDOW && !field.contains(':'), "{field} would be stepped over");
        }
    }

    /// The verdict in the plainest way: each mark of each host is asked for by itself.
    fn plainly(declared: &Descriptor, headers: &HeaderMap, body: BodyMarks<'_>) -> Evidence {
        let own = &declared.fingerprint;
        let told = |name: Option<&str>, most| headers.get(name?).and_then(|value| text(value, most));
        let (region, request_id) = (told(own.region, 64), told(own.request_id, 128));
        let mut signals = Vec::new();
        if headers.contains_key(SIMULATED) {
            return Evidence { verdict: ServedBy::Simulated, signals, region, request_id };
        }
        let heard = |host: &str| {
            host == declared.id
                || match own.may_show {
                    MayShow::Own => true,
                    MayShow::Also(ids) => !ids.contains(&host),
                    MayShow::Any => false,
                }
        };
        let hosts = || registry::providers().map(Provider::descriptor).filter(|host| heard(host.id));
        for name in headers.keys().map(HeaderName::as_str) {
            for (host, mark) in
                hosts().flat_map(|host| host.fingerprint.headers.iter().map(|m| (host.id, *m)))
            {
                let is_it = mark.strip_suffix('*').map_or(name == mark, |prefix| name.starts_with(prefix));
                if is_it && !signals.iter().any(|signal: &Signal| signal.mark == mark) {
                    signals.push(Signal { host, mark, seen_in: SeenIn::Header });
                }
            }
        }
        for (host, mark) in hosts().flat_map(|host| host.fingerprint.ids.iter().map(|m| (host.id, *m))) {
            if body.id.is_some_and(|id| id.starts_with(mark)) {
                signals.push(Signal { host, mark, seen_in: SeenIn::Id });
            }
        }
        let head = &body.bytes[..body.bytes.len().min(SCANNED)];
        let tail = &body.bytes[body.bytes.len().saturating_sub(SCANNED).max(head.len())..];
        for (host, mark) in hosts().flat_map(|host| host.fingerprint.fields.iter().map(|m| (host.id, *m))) {
            let quoted = format!("\"{mark}\"");
            let is_key = |part: &[u8]| {
                memchr::memmem::find_iter(part, &quoted).any(|at| {
                    let after = part[at + quoted.len()..].trim_ascii_start();
                    (at == 0 || part[at - 1] != b'\\') && after.first() == Some(&b':')
                })
            };
            if is_key(head) || is_key(tail) {
                signals.push(Signal { host, mark, seen_in: SeenIn::Field });
            }
        }
        let foreign = signals.iter().any(|signal| signal.host != declared.id);
        let confirmed = signals.iter().any(|s| s.host == declared.id && s.seen_in != SeenIn::Header);
        if !signals.iter().any(|signal| signal.host == declared.id) {
            for (mark, start) in own.shared {
                let mut values = headers.get_all(*mark).iter().filter_map(|value| value.to_str().ok());
                if values.any(|value| value.starts_with(start)) {
                    signals.push(Signal { host: declared.id, mark, seen_in: SeenIn::Header });
                }
            }
        }
        let verdict = match (foreign, confirmed, signals.is_empty()) {
            (true, ..) => ServedBy::Contradicted,
            (_, true, _) => ServedBy::Confirmed,
            (.., false) => ServedBy::Consistent,
            _ => ServedBy::Unknown,
        };
        Evidence { verdict, signals, region, request_id }
    }

    /// Headers that tell something of a host, and bodies that hold its fields at all kinds of places.
    fn answers(host: &Descriptor) -> (Vec<HeaderMap>, Vec<Vec<u8>>) {
        let print = &host.fingerprint;
        let mut rows: Vec<Vec<(String, String)>> = vec![vec![]];
        for mark in print.headers {
            let name = mark.replace('*', "one");
            rows.push(vec![(name.clone(), "v".into())]);
            rows.push(vec![(name.clone() + "-2", "v".into()), (mark.replace('*', "two"), "v".into())]);
            rows.push(vec![(name.clone(), "first".into()), (name, "second".into())]);
        }
        for (name, start) in print.shared {
            rows.push(vec![((*name).into(), format!("{start}x"))]);
            rows.push(vec![((*name).into(), "other".into()), ((*name).into(), format!("{start}x"))]);
        }
        for name in print.request_id.into_iter().chain(print.region) {
            rows.push(vec![(name.into(), "x".repeat(200)), (name.into(), "again".into())]);
            rows.push(vec![(name.into(), "gr\u{fc}n".into()), (name.into(), "again".into())]);
            rows.push(vec![(name.into(), "here".into()), (SIMULATED.into(), "1".into())]);
        }
        let map = |row: &Vec<(String, String)>| {
            let mut map = HeaderMap::new();
            for (name, value) in row {
                map.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
            }
            map
        };
        let mut bodies = vec![Vec::new()];
        let near = (0..12).flat_map(|before| [(before, 0), (before, 7)]);
        let end_of_head = (SCANNED - 30..SCANNED + 3).map(|before| (before, 0));
        let start_of_tail = (SCANNED - 30..SCANNED + 3).map(|after| (2 * SCANNED, after));
        for (before, after) in near.chain(end_of_head).chain(start_of_tail) {
            for field in print.fields {
                for key in [
                    format!("\"{field}\":1"),
                    format!("\"{field}\" \n\t : 1"),
                    format!("\\\"{field}\\\": 1"),
                    format!("\\\"{field}\": 1"),
                    format!("\"x{field}\":1"),
                    format!("\"{field}x\":1"),
                    format!("\"{field}\",1"),
                    format!("\"{field}\""),
                ] {
                    bodies.push(["z".repeat(before), key, "z".repeat(after)].concat().into_bytes());
                }
            }
        }
        (rows.iter().map(map).collect(), bodies)
    }

    #[test]
    fn the_quick_way_finds_what_the_plain_way_finds() {
        let hosts = || registry::providers().map(Provider::descriptor);
        let answers: Vec<_> = hosts().map(|host| (host, answers(host))).collect();
        for declared in hosts() {
            let endpoint = some(declared.id);
            let same = |headers: &HeaderMap, id: Option<&str>, bytes: &[u8]| {
                let body = BodyMarks { id, bytes };
                let (quick, plain) = (judge(&endpoint, headers, body), plainly(declared, headers, body));
                assert_eq!(quick, plain, "{} {headers:?} {id:?} {} bytes", declared.id, bytes.len());
            };
            for (host, (rows, bodies)) in &answers {
                let ids = host.fingerprint.ids.iter().map(|mark| format!("{mark}x"));
                for id in ids.chain(["chatcmpl-1".into(), "m".into(), String::new()]) {
                    same(&HeaderMap::new(), Some(&id), b"{}");
                    same(&rows[0], Some(&id), &bodies[bodies.len() / 2]);
                }
                // The places in a body are all tried with the host's own endpoint and with one that hears all.
                let all = declared.id == host.id || declared.id == answers[0].0.id;
                for bytes in bodies.iter().take(if all { usize::MAX } else { 17 }) {
                    same(&HeaderMap::new(), None, bytes);
                }
                for (_, (others, other)) in &answers {
                    for row in rows {
                        let mut both = row.clone();
                        for (name, value) in others.get(1).into_iter().flatten() {
                            both.append(name, value.clone());
                        }
                        same(&both, None, &[]);
                    }
                    let (some, more) = (bodies.get(1), other.get(1));
                    let both = [some, more].into_iter().flatten().flatten().copied().collect::<Vec<u8>>();
                    same(rows.last().unwrap(), Some("msg_01x"), &both);
                }
            }
        }
    }
}
