//! Where a connection goes: scheme, host and port, taken from the provider's own URL or from the operator's
//! `endpoint`. A caller's request never comes near this.

use crate::written::{Errors, FieldError, Written};
use std::{fmt, net::IpAddr};
use url::{Host, Url};

/// Scheme, host and port of a deployment: what a connection belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// The host as in a URL; an IPv6 address without its brackets.
    pub host: Box<str>,
    /// The port, also where it is the scheme's own.
    pub port: u16,
    authority: Box<str>,
}

/// Plain or TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http://`.
    Http,
    /// `https://`.
    Https,
}

impl Scheme {
    /// The word before `://`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Origin {
    /// The host as in a URL, an IPv6 address without its brackets.
    fn new(scheme: Scheme, host: &str, port: u16) -> Self {
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let authority = match (scheme, port) {
            (Scheme::Http, 80) | (Scheme::Https, 443) => bracketed,
            (_, port) => format!("{bracketed}:{port}"),
        };
        Self { scheme, host: host.into(), port, authority: authority.into() }
    }

    /// The `host` header: the port only where it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.authority())
    }
}

/// An origin and the path prefix (`""` or `/x/y`, no slash at its end) before the provider's paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) origin: Origin,
    pub(crate) prefix: String,
    /// True where the operator wrote it, so the host's name proves nothing.
    pub(crate) overridden: bool,
}

impl Base {
    /// The operator's `endpoint` where one is written, else `own`, which must be a valid URL.
    pub(crate) fn of(written: &Written, own: &str, errors: &mut Errors) -> Option<Self> {
        let overridden = written.endpoint.is_some();
        let text = written.endpoint.as_deref().unwrap_or(own);
        let parsed = parse(text, written.allow_http, overridden);
        errors.take(parsed)
    }

    /// The prefix without `root` at its end (`/openai/v1` as people copy it), so that it can be put back once.
    pub(crate) fn without_root(mut self, roots: &[&str]) -> Self {
        for root in roots {
            if let Some(rest) = self.prefix.strip_suffix(root) {
                self.prefix = rest.to_owned();
                break;
            }
        }
        self
    }
}

fn parse(text: &str, allow_http: bool, overridden: bool) -> Result<Base, FieldError> {
    let wrong = |message: String, hint: &'static str| {
        Err(FieldError { field: "endpoint", message, hint: hint.into() })
    };
    let Ok(url) = Url::parse(text) else {
        return wrong("is not a URL".into(), "write it as https://host or https://host:port/prefix");
    };
    let scheme = match url.scheme() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        other => return wrong(format!("has the scheme `{other}`"), "only https:// and http:// are spoken"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return wrong(
            "holds a user name or password".into(),
            "take it out; secrets come from the environment, a file or a cloud identity",
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong(
            "holds a query or fragment".into(),
            "write the URL up to its path; an API version has its own field, `api_version`",
        );
    }
    let Some(host) = url.host() else {
        return wrong("names no host".into(), "write it as https://host");
    };
    if scheme == Scheme::Http && !allow_http && !is_private(&host) {
        return wrong(
            format!("is http:// to `{host}`, which is not a private host"),
            "use https://, or set `allow_http = true` if the way to it is protected otherwise",
        );
    }
    let host = match host {
        Host::Ipv6(address) => address.to_string(),
        other => other.to_string(),
    };
    let port = url.port_or_known_default().unwrap_or(match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    });
    let prefix = url.path().trim_end_matches('/').to_owned();
    Ok(Base { origin: Origin::new(scheme, &host, port), prefix, overridden })
}

/// Loopback, private (RFC 1918, ULA) and names that only a private resolver knows. Link-local addresses are
/// not among them: a cloud's metadata service stands there.
fn is_private(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(ip) => ip.is_loopback() || ip.is_private(),
        Host::Ipv6(ip) => {
            ip.is_loopback()
                || ip.is_unique_local()
                || matches!(IpAddr::V6(*ip).to_canonical(), IpAddr::V4(v4) if v4.is_loopback() || v4.is_private())
        }
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            !name.contains('.')
                || [".localhost", ".local", ".internal", ".svc", ".lan", ".home.arpa"]
                    .iter()
                    .any(|end| name.ends_with(end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> (String, String) {
        let base = parse(text, false, true).expect(text);
        (base.origin.to_string(), base.prefix)
    }

    #[test]
    fn urls_are_taken_apart() {
        assert_eq!(prefix("https://a.example"), ("https://a.example".into(), String::new()));
        assert_eq!(prefix("https://a.example:8443/x/y/"), ("https://a.example:8443".into(), "/x/y".into()));
        assert_eq!(prefix("http://127.0.0.1:4101"), ("http://127.0.0.1:4101".into(), String::new()));
        assert_eq!(prefix("http://[::1]:80/v1"), ("http://[::1]".into(), "/v1".into()));
        assert_eq!(prefix("HTTPS://A.Example:443"), ("https://a.example".into(), String::new()));
    }

    #[test]
    fn plain_http_stays_at_home() {
        for home in [
            "http://localhost:8000",
            "http://vllm:8000",
            "http://10.1.2.3",
            "http://gpu.svc",
            "http://[fd00::1]",
        ] {
            assert!(parse(home, false, true).is_ok(), "{home}");
        }
        for away in ["http://api.example.com", "http://8.8.8.8", "http://169.254.169.254", "http://[fe80::1]"]
        {
            assert!(parse(away, false, true).is_err(), "{away}");
            assert!(parse(away, true, true).is_ok(), "{away} when allowed");
        }
    }

    #[test]
    fn nonsense_is_refused_with_a_hint() {
        for bad in [
            "",
            "api.example.com",
            "ftp://a.example",
            "https://u:p@a.example",
            "https://a.example?x=1",
            "https://a.example#x",
        ] {
            let error = parse(bad, false, true).expect_err(bad);
            assert_eq!(error.field, "endpoint");
            assert!(!error.hint.is_empty());
        }
    }
}
