//! What a certificate says of itself: names, issuer, end. A reader of just that much DER; whether the certificate
//! is to be trusted is the TLS library's question, not this file's.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Most names that are shown.
const NAMES_MAX: usize = 32;

const SEQUENCE: u8 = 0x30;
const OID: u8 = 0x06;
const OCTETS: u8 = 0x04;
const EXTENSIONS: u8 = 0xa3;
const VERSION: u8 = 0xa0;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
const UTC_TIME: u8 = 0x17;

const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];

/// What a certificate says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// The names that it is for.
    pub(super) names: Vec<String>,
    /// Organisation and name of who issued it.
    pub(super) issuer: String,
    /// Its last second, `2027-01-31 23:59:59 UTC`.
    pub(super) ends: String,
}

/// Reads a certificate; `None` where it is none.
pub(super) fn read(der: &[u8]) -> Option<Certificate> {
    let (_, certificate, _) = element(der)?;
    let (_, mut body, _) = element(certificate)?;
    if body.first() == Some(&VERSION) {
        body = element(body)?.2;
    }
    let (_serial, _, rest) = element(body)?;
    let (_algorithm, _, rest) = element(rest)?;
    let (_, issuer, rest) = element(rest)?;
    let (_, validity, rest) = element(rest)?;
    let (_subject, _, rest) = element(rest)?;
    let (_key, _, mut rest) = element(rest)?;
    let mut names = Vec::new();
    while let Some((tag, content, next)) = element(rest) {
        if tag == EXTENSIONS {
            names = alternative_names(content).unwrap_or_default();
        }
        rest = next;
    }
    let (_from, _, until) = element(validity)?;
    let (tag, until, _) = element(until)?;
    Some(Certificate { names, issuer: name(issuer), ends: time(tag, until)? })
}

/// The first element: tag, content, what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.len() > 4 {
            return None;
        }
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, content, rest) = element(bytes)?;
        bytes = rest;
        Some((tag, content))
    })
}

fn alternative_names(extensions: &[u8]) -> Option<Vec<String>> {
    let (_, list, _) = element(extensions)?;
    let (_, extension) = elements(list).find(|(tag, extension)| {
        *tag == SEQUENCE
            && element(extension).is_some_and(|(tag, id, _)| tag == OID && id == SUBJECT_ALT_NAME)
    })?;
    let (_, octets) = elements(extension).find(|(tag, _)| *tag == OCTETS)?;
    let (_, names, _) = element(octets)?;
    let text = |(tag, content): (u8, &[u8])| match (tag, content.len()) {
        (DNS_NAME, _) => Some(String::from_utf8_lossy(content).into_owned()),
        (IP_ADDRESS, 4) => Some(Ipv4Addr::from(*content.first_chunk::<4>()?).to_string()),
        (IP_ADDRESS, 16) => Some(Ipv6Addr::from(*content.first_chunk::<16>()?).to_string()),
        _ => None,
    };
    Some(elements(names).filter_map(text).take(NAMES_MAX).collect())
}

/// `Organisation, Common Name`.
fn name(name: &[u8]) -> String {
    let mut parts = [ORGANISATION, COMMON_NAME].map(|wanted| {
        elements(name).find_map(|(_, set)| {
            let (_, pair, _) = element(set)?;
            let (_, id, value) = element(pair)?;
            let (_, text, _) = element(value)?;
            (id == wanted).then(|| String::from_utf8_lossy(text).into_owned())
        })
    });
    let parts: Vec<String> = parts.iter_mut().filter_map(Option::take).collect();
    if parts.is_empty() { "nobody named".to_owned() } else { parts.join(", ") }
}

/// `261121120000Z` or `20261121120000Z`.
fn time(tag: u8, digits: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(digits).ok()?;
    let (century, text) = if tag == UTC_TIME {
        (if text.get(..2)? < "50" { "20" } else { "19" }, text)
    } else {
        (text.get(..2)?, text.get(2..)?)
    };
    let two = |at: usize| text.get(at..at + 2);
    Some(format!("{century}{}-{}-{} {}:{}:{} UTC", two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, two(10)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_issuer_and_end_are_read() {
        let mut params =
            rcgen::CertificateParams::new(["api.example.com".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::OrganizationName, "Example Trust");
        params.distinguished_name.push(rcgen::DnType::CommonName, "Example CA 1");
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let key = rcgen::KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap();
        let read = read(der.der()).unwrap();
        assert_eq!(read.names, ["api.example.com", "127.0.0.1"]);
        assert_eq!(read.issuer, "Example Trust, Example CA 1");
        assert_eq!(read.ends, "2031-02-03 00:00:00 UTC");
    }

    #[test]
    fn what_is_no_certificate_is_none_however_it_is_cut() {
        let key = rcgen::KeyPair::generate().unwrap();
        let der = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
        let whole = der.der();
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
        assert_eq!(read(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
