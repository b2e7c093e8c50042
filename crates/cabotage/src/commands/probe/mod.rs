//! `cabotage probe URL`: who answers there, as far as the network shows: names, certificate, round trip, headers,
//! and a verdict that never says more than its reasons.

mod certificate;
mod network;
mod verdict;

use anyhow::{Context as _, bail};
use clap::Args;
use http::HeaderMap;
use network::Seen;
use serde_json::{Value, json};
use std::{fmt::Write as _, path::PathBuf, process::ExitCode};
use url::Url;
use verdict::Verdict;

/// Headers whose values are the visitor's own and are not shown.
const HIDDEN: [&str; 2] = ["set-cookie", "authorization"];

/// Who answers at a URL, as far as the network shows.
#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// Host or URL: api.openai.com, https://my-resource.openai.azure.com
    url: String,
    /// Whose host it is said to be: a provider's id. Default: as the host's name tells
    #[arg(long)]
    provider: Option<String>,
    /// PEM file with roots to trust beside the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints what was seen. Exit 0 where somebody answered.
pub(crate) fn run(arguments: &Probe) -> anyhow::Result<ExitCode> {
    let url = read(&arguments.url)?;
    let roots = match &arguments.ca_file {
        Some(file) => {
            Some(std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?)
        }
        None => None,
    };
    let seen = network::look(&url, roots.as_deref())?;
    let verdict = verdict::of(&url, &seen, arguments.provider.as_deref())?;
    if arguments.json {
        println!("{:#}", as_json(&url, &seen, &verdict));
    } else {
        print!("{}", as_text(&url, &seen, &verdict));
    }
    Ok(if seen.http.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(crate::exit::FAILED) })
}

/// A URL, or a host alone.
fn read(text: &str) -> anyhow::Result<Url> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&whole).with_context(|| format!("`{text}` is neither a host nor a URL"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none() {
        bail!("`{text}` is not an http:// or https:// URL");
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!("leave user and password out of the URL: a probe sends none");
    }
    Ok(url)
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let value = |name: &str, value: &http::HeaderValue| {
        if HIDDEN.contains(&name) {
            "(not shown)".to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        }
    };
    headers.iter().map(|(name, own)| (name.to_string(), value(name.as_str(), own))).collect()
}

fn as_text(url: &Url, seen: &Seen, verdict: &Verdict) -> String {
    let mut out = format!("probe {url}\n");
    let addresses: Vec<String> = seen.addresses.iter().map(ToString::to_string).collect();
    let _ = writeln!(out, "DNS   {} → {}", url.host_str().unwrap_or_default(), addresses.join(", "));
    match seen.rtt {
        Some(rtt) => {
            let _ = writeln!(
                out,
                "TCP   {}, round trip {:.1} ms (best of {}): the machine that answers is at most {:.0} km away",
                seen.connected,
                rtt.as_secs_f64() * 1e3,
                network::CONNECTS,
                network::reach_km(rtt)
            );
        }
        None => {
            let _ = writeln!(out, "TCP   {}", seen.connected);
        }
    }
    if let Some(tls) = &seen.tls {
        match &tls.certificate {
            Some(certificate) => {
                let _ =
                    writeln!(out, "TLS   {}, certificate for: {}", tls.version, certificate.names.join(", "));
                let _ = writeln!(out, "      issued by {}, ends {}", certificate.issuer, certificate.ends);
            }
            None => out.push_str("TLS   the certificate cannot be read\n"),
        }
        if let Some(refused) = &tls.refused {
            let _ = writeln!(out, "      NOT TRUSTED: {refused}");
        }
    }
    match &seen.http {
        Ok(answer) => {
            let _ = writeln!(out, "HTTP  {} → {}", answer.method, answer.status);
            for (name, value) in shown(&answer.headers) {
                let _ = writeln!(out, "      {name}: {value}");
            }
        }
        Err(error) => {
            let _ = writeln!(out, "HTTP  no answer: {error}");
        }
    }
    let _ = writeln!(out, "\nVERDICT\n  who answers:     {}", verdict.who);
    let _ = writeln!(out, "  cloud behind it: {}", verdict.cloud);
    for reason in &verdict.reasons {
        let _ = writeln!(out, "  - {reason}");
    }
    out
}

fn as_json(url: &Url, seen: &Seen, verdict: &Verdict) -> Value {
    json!({
        "url": url.as_str(),
        "addresses": seen.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "connected": seen.connected.to_string(),
        "rtt_ms": seen.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
        "tls": seen.tls.as_ref().map(|tls| json!({
            "version": tls.version,
            "names": tls.certificate.as_ref().map(|certificate| &certificate.names),
            "issuer": tls.certificate.as_ref().map(|certificate| &certificate.issuer),
            "ends": tls.certificate.as_ref().map(|certificate| &certificate.ends),
            "refused": tls.refused,
        })),
        "http": match &seen.http {
            Ok(answer) => json!({ "method": answer.method, "status": answer.status, "headers": shown(&answer.headers) }),
            Err(error) => json!({ "error": error }),
        },
        "verdict": { "who": verdict.who, "cloud": verdict.cloud, "reasons": verdict.reasons },
    })
}
