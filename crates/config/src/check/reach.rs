//! How a deployment is reached: times, proxy, TLS. What it does not say is `[upstream]`'s.

use super::Check;
use crate::{
    document::{Step, at},
    raw,
};
use engine::{
    Timeouts,
    upstream::{ProxyRule, TlsIdentity, TlsSettings},
};
use secrecy::ExposeSecret as _;
use std::{path::PathBuf, time::Duration};

/// How one deployment is reached.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    pub(super) timeouts: Timeouts,
    pub(super) connect_timeout: Duration,
    pub(super) concurrency: usize,
    pub(super) proxy: Option<ProxyRule>,
    pub(super) tls: TlsSettings,
}

impl Default for Reached {
    fn default() -> Self {
        Self {
            timeouts: Timeouts::default(),
            connect_timeout: Duration::from_secs(2),
            concurrency: 1_024,
            proxy: None,
            tls: TlsSettings::default(),
        }
    }
}

impl Check<'_> {
    /// `raw`, written at `path`, laid over `base`.
    pub(super) fn reach(&mut self, raw: &raw::Reach, base: &Reached, path: &[Step<'_>]) -> Reached {
        let mut reached = base.clone();
        let to =
            |tail: &[&'static str]| -> Vec<Step<'static>> { tail.iter().map(|key| Step::Key(key)).collect() };
        let place = |tail: &[&'static str]| [path, &to(tail)].concat();
        let times = &raw.timeouts;
        let rows: [(&Option<String>, &mut Duration, &'static str); 4] = [
            (&times.connect, &mut reached.connect_timeout, "connect"),
            (&times.first_content, &mut reached.timeouts.first_content, "first_content"),
            (&times.idle, &mut reached.timeouts.idle_content, "idle"),
            (&times.total, &mut reached.timeouts.total, "total"),
        ];
        for (written, target, name) in rows {
            let at = place(&["timeouts", name]);
            match self.duration(written.as_deref(), &at) {
                Some(Duration::ZERO) => {
                    self.document.wrong_at(&at, format!("`timeouts.{name}` is 0"), "give it at least 1ms");
                }
                Some(duration) => *target = duration,
                None => {}
            }
        }
        if let Some(places) = raw.concurrency {
            reached.concurrency = usize::try_from(places).unwrap_or(usize::MAX);
            if places == 0 {
                let hint = "to take a deployment out, remove it from the file";
                self.document.wrong_at(&place(&["concurrency"]), "`concurrency` is 0", hint);
            }
        }
        self.proxy(raw, &mut reached, path);
        if let Some(tls) = &raw.tls {
            reached.tls = self.tls(tls, &place(&["tls"]));
        }
        reached
    }

    fn proxy(&mut self, raw: &raw::Reach, reached: &mut Reached, path: &[Step<'_>]) {
        let at_proxy = [path, at!["proxy"]].concat();
        match raw.proxy.as_deref() {
            None => {}
            Some("") => reached.proxy = None,
            Some(text) => reached.proxy = self.proxy_url(text, &at_proxy),
        }
        let at_auth = [path, at!["proxy_auth"]].concat();
        let authorization = raw.proxy_auth.as_ref().and_then(|written| self.secret(written, &at_auth));
        match (&mut reached.proxy, authorization) {
            (Some(rule), Some(secret)) => {
                rule.authorization = Some(basic(secret.expose_secret()).into());
            }
            (None, Some(_)) => {
                self.document.wrong_at(
                    &at_auth,
                    "`proxy_auth` stands without a proxy",
                    "add `proxy = \"http://…\"`",
                );
            }
            _ => {}
        }
        match (&mut reached.proxy, &raw.no_proxy) {
            (Some(rule), Some(hosts)) => {
                rule.no_proxy = hosts.iter().map(|host| host.as_str().into()).collect()
            }
            (None, Some(_)) if raw.proxy.is_none() => {
                let at = [path, at!["no_proxy"]].concat();
                self.document.wrong_at(
                    &at,
                    "`no_proxy` stands without a proxy",
                    "add `proxy = \"http://…\"`",
                );
            }
            _ => {}
        }
    }

    fn proxy_url(&mut self, text: &str, path: &[Step<'_>]) -> Option<ProxyRule> {
        // Never show the text: it may hold a password.
        let hint = "write http://host:port; user and password go to `proxy_auth`";
        let Ok(url) = url::Url::parse(text) else {
            self.document.wrong_at(path, "the proxy is not a URL", hint);
            return None;
        };
        let wrong = match () {
            () if url.scheme() != "http" => Some("the proxy is not reached by http://"),
            () if !url.username().is_empty() || url.password().is_some() => {
                Some("the proxy's URL holds a password in clear")
            }
            () if url.path() != "/" || url.query().is_some() => Some("the proxy's URL has a path"),
            () => None,
        };
        if let Some(message) = wrong {
            self.document.wrong_at(path, message, hint);
            return None;
        }
        Some(ProxyRule {
            host: url.host_str().unwrap_or_default().trim_matches(['[', ']']).into(),
            port: url.port_or_known_default().unwrap_or(80),
            authorization: None,
            no_proxy: Vec::new(),
        })
    }

    fn tls(&mut self, raw: &raw::Tls, path: &[Step<'_>]) -> TlsSettings {
        let mut pem = |written: &Option<PathBuf>, name: &'static str| {
            let at = [path, &[Step::Key(name)]].concat();
            written.as_ref().and_then(|file| self.read(file, &at))
        };
        let settings = TlsSettings {
            ca_bundle: pem(&raw.ca_file, "ca_file"),
            ca_replaces_system: raw.ca_only,
            client_certificate: pem(&raw.client_cert, "client_cert"),
            client_key: pem(&raw.client_key, "client_key"),
        };
        if raw.ca_only && raw.ca_file.is_none() {
            let at = [path, at!["ca_only"]].concat();
            self.document.wrong_at(
                &at,
                "`ca_only` stands without `ca_file`: nothing would be trusted",
                "add `ca_file`",
            );
            return settings;
        }
        let unread = [
            (raw.ca_file.is_some(), settings.ca_bundle.is_none()),
            (raw.client_cert.is_some(), settings.client_certificate.is_none()),
            (raw.client_key.is_some(), settings.client_key.is_none()),
        ];
        let all_read = unread.iter().all(|(written, missing)| !(*written && *missing));
        if all_read && let Err(error) = TlsIdentity::build(&settings) {
            self.document.wrong_at(
                path,
                error.to_string(),
                "the files are PEM: CERTIFICATE and PRIVATE KEY blocks",
            );
        }
        settings
    }
}

/// `Proxy-Authorization` of `user:password`.
fn basic(pair: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}
