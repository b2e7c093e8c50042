//! Checks AWS Signature Version 4 of a request, written from the specification and not from a signer:
//! what our gateway signs with must not also be what judges it.
//!
//! The canonical path is the path on the wire, percent-encoded once more, as every service but S3 wants:
//! a model id with `:` is sent as `%3A` and signed as `%253A`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::config::AccessKey;
use crate::exchange::Ask;

/// Everything but the unreserved letters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Why a signature is refused: AWS error type and message.
pub(crate) type Refused = (&'static str, String);

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The parts of an `Authorization` header of Signature Version 4.
#[derive(Debug)]
struct Signed<'a> {
    key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    headers: Vec<&'a str>,
    signature: &'a str,
}

/// Checks the signature of `ask` for this service and region against the known keys.
pub(crate) fn verify(ask: &Ask<'_>, service: &str, region: &str) -> Result<(), Refused> {
    let Some(signed) = parse(ask.header("authorization")) else {
        let message =
            "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.";
        return Err(("IncompleteSignatureException", message.to_owned()));
    };
    let keys: &[AccessKey] = &ask.cloud.credentials.access_keys;
    let Some(key) = keys.iter().find(|key| key.id == signed.key_id) else {
        let message = "The security token included in the request is invalid.";
        return Err(("UnrecognizedClientException", message.to_owned()));
    };
    let invalid = |message: String| ("InvalidSignatureException", message);
    if signed.service != service {
        return Err(invalid(format!("Credential should be scoped to correct service: '{service}'. ")));
    }
    if !region.is_empty() && signed.region != region {
        return Err(invalid(format!(
            "Credential should be scoped to a valid region, not '{}'. ",
            signed.region
        )));
    }
    let stamp = ask.header("x-amz-date");
    if !signed.headers.contains(&"host") || stamp.is_empty() || !stamp.starts_with(signed.date) {
        let message =
            "'Host' must be a 'SignedHeader' and the date of 'X-Amz-Date' that of the credential scope.";
        return Err(invalid(message.to_owned()));
    }
    check_age(ask, stamp).map_err(invalid)?;
    let expected = signature(ask, &signed, &key.secret, stamp);
    if expected.is_some_and(|expected| expected == signed.signature) {
        return Ok(());
    }
    Err(invalid("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.".to_owned()))
}

fn parse(header: &str) -> Option<Signed<'_>> {
    let rest = header.strip_prefix(ALGORITHM)?.trim();
    let fields: BTreeMap<&str, &str> =
        rest.split(',').filter_map(|part| part.trim().split_once('=')).collect();
    let mut scope = fields.get("Credential")?.split('/');
    let (key_id, date, region, service, end) =
        (scope.next()?, scope.next()?, scope.next()?, scope.next()?, scope.next()?);
    if end != "aws4_request" || scope.next().is_some() {
        return None;
    }
    let headers = fields.get("SignedHeaders")?.split(';').collect();
    Some(Signed { key_id, date, region, service, headers, signature: fields.get("Signature")? })
}

fn check_age(ask: &Ask<'_>, stamp: &str) -> Result<(), String> {
    let Some(allowed) = ask.cloud.clock_skew_seconds else { return Ok(()) };
    let signed_at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp)
        .and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC))
        .map(|time| time.timestamp().as_second())
        .map_err(|_| "Date in X-Amz-Date must be in ISO-8601 basic format. ".to_owned())?;
    let now = i64::try_from(ask.now_ms / 1000).unwrap_or(i64::MAX);
    if signed_at.abs_diff(now) > allowed {
        return Err(format!(
            "Signature expired or not yet current: {stamp} is more than {allowed} s from our clock."
        ));
    }
    Ok(())
}

fn signature(ask: &Ask<'_>, signed: &Signed<'_>, secret: &str, stamp: &str) -> Option<String> {
    let mut canonical =
        format!("{}\n{}\n{}\n", ask.method, canonical_path(ask.path), canonical_query(ask.query));
    for name in &signed.headers {
        let values: Vec<String> = ask
            .headers
            .get_all(*name)
            .iter()
            .map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            })
            .collect();
        let _ = writeln!(canonical, "{name}:{}", values.join(","));
    }
    let _ = write!(canonical, "\n{}\n{}", signed.headers.join(";"), hex(&Sha256::digest(ask.body)));
    let scope = format!("{}/{}/{}/aws4_request", signed.date, signed.region, signed.service);
    let to_sign = format!("{ALGORITHM}\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let mut key = hmac(format!("AWS4{secret}").as_bytes(), signed.date.as_bytes())?;
    for part in [signed.region, signed.service, "aws4_request", &to_sign] {
        key = hmac(&key, part.as_bytes())?;
    }
    Some(hex(&key))
}

fn canonical_path(path: &str) -> String {
    let segments: Vec<String> =
        path.split('/').map(|segment| utf8_percent_encode(segment, ENCODED).to_string()).collect();
    segments.join("/")
}

fn canonical_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let again = |text: &str| {
                let plain: Vec<u8> = percent_encoding::percent_decode_str(text).collect();
                percent_encoding::percent_encode(&plain, ENCODED).to_string()
            };
            (again(name), again(value))
        })
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn hmac(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(data);
    Some(mac.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_encoded_twice_and_queries_sorted() {
        assert_eq!(canonical_path("/model/a.b-v1%3A0/converse"), "/model/a.b-v1%253A0/converse");
        assert_eq!(canonical_query("b=2&a=%2F&c"), "a=%2F&b=2&c=");
    }

    #[test]
    fn the_key_derivation_is_that_of_the_specification() {
        // Derived key example of the AWS documentation.
        let mut key = hmac(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", b"20150830").unwrap();
        for part in ["us-east-1", "iam", "aws4_request"] {
            key = hmac(&key, part.as_bytes()).unwrap();
        }
        assert_eq!(hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }
}
