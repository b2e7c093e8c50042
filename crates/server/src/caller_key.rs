//! The caller's key: every carrier means the same, and two different ones are an error.

use domain::{Code, Fault};
use http::{HeaderMap, HeaderName};

/// A key may not be longer than this.
const MAX_KEY: usize = 512;

/// The other headers that hold a key and nothing else.
static OTHERS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];

/// The key that a request carries, whichever header it stands in.
///
/// # Errors
/// `invalid_request` where two carriers hold different keys; a request without any is `Ok(None)`.
pub(crate) fn of(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    let bearers =
        headers.get_all(http::header::AUTHORIZATION).iter().filter_map(|value| bearer(value.to_str().ok()?));
    let others = OTHERS.iter().flat_map(|name| headers.get_all(name)).filter_map(|value| value.to_str().ok());
    let mut found = None;
    for key in bearers.chain(others) {
        if found.is_some_and(|other| other != key) {
            return Err(Fault::caller(
                Code::InvalidRequest,
                "the request carries two different keys; send one key",
            ));
        }
        found = Some(key);
    }
    Ok(found.filter(|key| !key.is_empty() && key.len() <= MAX_KEY))
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn carriers_mean_the_same_and_must_agree() {
        assert_eq!(of(&headers(&[("authorization", "Bearer k")])).unwrap(), Some("k"));
        assert_eq!(of(&headers(&[("authorization", "bearer  k")])).unwrap(), Some("k"));
        assert_eq!(of(&headers(&[("api-key", "k")])).unwrap(), Some("k"));
        assert_eq!(of(&headers(&[("x-api-key", "k"), ("authorization", "Bearer k")])).unwrap(), Some("k"));
        assert!(of(&headers(&[("x-api-key", "a"), ("authorization", "Bearer b")])).is_err());
        let mut twice = headers(&[("x-api-key", "a")]);
        twice.append("x-api-key", "b".parse().unwrap());
        assert!(of(&twice).is_err(), "also two values of one header");
        assert_eq!(of(&headers(&[("authorization", "Basic eDp5")])).unwrap(), None);
        assert_eq!(of(&headers(&[("authorization", "Bearer ")])).unwrap(), None);
        assert_eq!(of(&HeaderMap::new()).unwrap(), None);
    }
}
