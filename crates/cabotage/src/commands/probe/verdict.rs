//! The verdict: whose marks the answer bears, and what that proves. Headers alone never confirm anything, since
//! whoever stands in the way can set and strip them.

use super::network::{Http, Seen};
use anyhow::bail;
use domain::{product, record::ServedBy};
use http::HeaderMap;
use providers::{
    Endpoint, Written,
    evidence::{BodyMarks, SeenIn},
    provider::Provider,
    registry,
};
use url::Url;

/// Who answers, and why we say so.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Who answers, with how sure that is.
    pub(super) who: String,
    /// The cloud behind it; `unknown` where nothing shows it.
    pub(super) cloud: String,
    /// What both rest on.
    pub(super) reasons: Vec<String>,
}

/// Judges what was seen.
///
/// # Errors
/// Where the provider that is named is not in the registry.
pub(super) fn of(url: &Url, seen: &Seen, named: Option<&str>) -> anyhow::Result<Verdict> {
    let host = url.host_str().unwrap_or_default();
    let declared = match named {
        Some(id) => match registry::provider(id) {
            Some(provider) => Some(provider),
            None => {
                let ids: Vec<&str> = registry::providers().map(|provider| provider.descriptor().id).collect();
                bail!("`{id}` is not a provider; there are: {}", ids.join(", "));
            }
        },
        None => registry::providers().find(|provider| owns(provider.descriptor().base_url, host)),
    };
    let mut verdict = Verdict { who: "unknown".to_owned(), cloud: "unknown".to_owned(), reasons: Vec::new() };
    network(host, seen, &mut verdict.reasons);
    let Ok(Http { headers, .. }) = &seen.http else {
        verdict.reasons.push("no answer came, so there are no headers to judge by".to_owned());
        return Ok(verdict);
    };
    let front = in_front(headers, &mut verdict.reasons);
    match declared {
        Some(provider) => judge(provider, url, headers, front, &mut verdict),
        None => strangers(url, headers, &mut verdict),
    }
    verdict.reasons.push(
        "headers can be set and stripped on the way: from them alone nothing is ever `confirmed`".to_owned(),
    );
    Ok(verdict)
}

/// What address and certificate tell.
fn network(host: &str, seen: &Seen, reasons: &mut Vec<String>) {
    match &seen.tls {
        None => reasons.push("no TLS: anybody on the way can answer in the host's name".to_owned()),
        Some(tls) => match &tls.refused {
            Some(refused) => reasons.push(format!("the certificate is not trusted: {refused}")),
            None => reasons.push(format!("TLS: a certificate for {host} that this machine trusts")),
        },
    }
    if seen.connected.ip().is_loopback() {
        reasons.push(
            "the address is this machine's own: something local answers, a proxy or a simulator".to_owned(),
        );
    }
}

/// A front that hides who is behind it.
fn in_front(headers: &HeaderMap, reasons: &mut Vec<String>) -> bool {
    let is_cloudflare = headers
        .get(http::header::SERVER)
        .is_some_and(|server| server.as_bytes().eq_ignore_ascii_case(b"cloudflare"));
    let ray = headers.get("cf-ray").and_then(|ray| ray.to_str().ok());
    if !is_cloudflare && ray.is_none() {
        return false;
    }
    let edge = ray
        .and_then(|ray| ray.rsplit_once('-'))
        .map(|(_, edge)| format!(" (cf-ray: {edge}, the edge near you, not the model's region)"));
    reasons.push(format!(
        "Cloudflare stands in front{}: the cloud behind it does not show",
        edge.unwrap_or_default()
    ));
    true
}

fn judge(
    provider: &'static dyn Provider,
    url: &Url,
    headers: &HeaderMap,
    front: bool,
    verdict: &mut Verdict,
) {
    let descriptor = provider.descriptor();
    let Some(endpoint) = endpoint(provider, url) else {
        verdict.who =
            format!("{}, as the host's name says; its marks could not be looked for", descriptor.name);
        return;
    };
    let evidence = endpoint.evidence(headers, BodyMarks::default());
    for signal in &evidence.signals {
        let place = match signal.seen_in {
            SeenIn::Header => "header",
            SeenIn::Id => "id",
            SeenIn::Field => "field",
        };
        let whose = registry::provider(signal.host).map_or(signal.host, |host| host.descriptor().name);
        verdict.reasons.push(format!("{place} `{}`: a mark of {whose}", signal.mark));
    }
    if evidence.signals.is_empty() && evidence.verdict == ServedBy::Unknown {
        verdict.reasons.push(format!(
            "no header that is a mark of {}; some hosts show theirs only to callers with a key",
            descriptor.name
        ));
    }
    if let Some(region) = &evidence.region {
        verdict.reasons.push(format!("the host names its region: {region}"));
    }
    verdict.who = match evidence.verdict {
        ServedBy::Simulated => format!(
            "simulated ({} says so): a simulator in the place of {}",
            product::header::SIMULATED,
            descriptor.name
        ),
        ServedBy::Contradicted => format!("contradicted: not {}, or not it alone", descriptor.name),
        ServedBy::Consistent | ServedBy::Confirmed => format!("consistent with {}", descriptor.name),
        ServedBy::Unknown => format!("unknown; the host's name says {}", descriptor.name),
    };
    let consistent = matches!(evidence.verdict, ServedBy::Consistent | ServedBy::Confirmed);
    if let (true, false, [cloud]) = (consistent, front, descriptor.clouds) {
        verdict.cloud = format!("{cloud}, as {} declares it; not observed", descriptor.name);
    }
}

/// A host that is nobody's known one: whose marks does it bear?
fn strangers(url: &Url, headers: &HeaderMap, verdict: &mut Verdict) {
    verdict.reasons.push("the host's name is none of the providers' (a gateway, a private link, your own): --provider says whose it is".to_owned());
    if headers.contains_key(product::header::SIMULATED) {
        verdict.who = format!("simulated ({} says so)", product::header::SIMULATED);
        return;
    }
    let mut seen = Vec::new();
    for provider in registry::providers() {
        let Some(endpoint) = endpoint(provider, url) else { continue };
        let evidence = endpoint.evidence(headers, BodyMarks::default());
        let id = provider.descriptor().id;
        for signal in evidence.signals.iter().filter(|signal| signal.host == id) {
            verdict.reasons.push(format!(
                "header `{}`: a mark of {}",
                signal.mark,
                provider.descriptor().name
            ));
            if !seen.contains(&provider.descriptor().name) {
                seen.push(provider.descriptor().name);
            }
        }
    }
    if !seen.is_empty() {
        verdict.who = format!("unknown; it bears marks of {}", seen.join(" and "));
    }
}

/// An endpoint of the provider at this URL, with words where it wants some: only its marks are asked for.
fn endpoint(provider: &'static dyn Provider, url: &Url) -> Option<Endpoint> {
    let word = |field: &str| {
        let wanted = provider.descriptor().fields.iter().any(|own| own.required && own.name == field);
        wanted.then(|| "probed".to_owned())
    };
    let written = Written {
        provider: provider.descriptor().id.to_owned(),
        model: "probed.model".to_owned(),
        endpoint: Some(url.origin().ascii_serialization()),
        resource: word("resource"),
        region: word("region"),
        location: word("location"),
        project: word("project").map(|word| format!("{word}-project")),
        allow_http: true,
        ..Written::default()
    };
    provider.check(&written).ok()
}

/// Whether a provider's usual URL, with `{…}` for what differs, is of this host or of one under it.
fn owns(base_url: &str, host: &str) -> bool {
    let Some((_, rest)) = base_url.split_once("://") else { return false };
    let usual = rest.split(['/', ':']).next().unwrap_or_default();
    if usual.is_empty() || usual == "localhost" {
        return false;
    }
    let Some((before, after)) = usual.split_once('{') else {
        return host == usual || host.strip_suffix(usual).is_some_and(|front| front.ends_with('.'));
    };
    let after = after.split_once('}').map_or("", |(_, after)| after);
    host.strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .is_some_and(|middle| !middle.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(headers: &[(&str, &str)]) -> Seen {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        Seen {
            addresses: Vec::new(),
            connected: "192.0.2.1:443".parse().unwrap(),
            rtt: None,
            tls: None,
            http: Ok(Http { method: "HEAD", status: 200, headers: map }),
        }
    }

    fn verdict(url: &str, headers: &[(&str, &str)]) -> Verdict {
        of(&Url::parse(url).unwrap(), &seen(headers), None).unwrap()
    }

    #[test]
    fn behind_cloudflare_the_cloud_is_unknown() {
        let said = verdict(
            "https://api.openai.com",
            &[
                ("server", "cloudflare"),
                ("cf-ray", "8a-SIN"),
                ("openai-organization", "o"),
                ("openai-project", "p"),
            ],
        );
        assert!(said.who.starts_with("consistent with"), "{said:?}");
        assert_eq!(said.cloud, "unknown");
        assert!(said.reasons.iter().any(|reason| reason.contains("the edge near you")), "{said:?}");
    }

    #[test]
    fn headers_alone_never_confirm_and_foreign_ones_contradict() {
        let azure = "https://mine.openai.azure.com";
        let own = verdict(azure, &[("apim-request-id", "1"), ("x-ms-region", "East US 2")]);
        assert!(own.who.starts_with("consistent with") && own.cloud.starts_with("azure"), "{own:?}");
        let foreign = verdict(azure, &[("x-amzn-bedrock-invocation-latency", "5")]);
        assert!(foreign.who.starts_with("contradicted"), "{foreign:?}");
        let nothing = verdict("https://gateway.example", &[("server", "nginx")]);
        assert_eq!((nothing.who.as_str(), nothing.cloud.as_str()), ("unknown", "unknown"));
        let marks = verdict("https://gateway.example", &[("apim-request-id", "1")]);
        assert!(marks.who.contains("bears marks of"), "{marks:?}");
        let simulated = verdict(
            "https://api.openai.com",
            &[("x-cabotage-simulated", "true"), ("openai-organization", "o")],
        );
        assert!(simulated.who.starts_with("simulated"), "{simulated:?}");
    }

    #[test]
    fn a_host_is_known_by_its_name_and_only_by_its_end() {
        assert!(owns("https://api.openai.com/v1", "api.openai.com"));
        assert!(owns("https://api.openai.com/v1", "eu.api.openai.com"));
        assert!(!owns("https://api.openai.com/v1", "api.openai.com.evil.example"));
        assert!(!owns("https://api.openai.com/v1", "notapi.openai.com"));
        assert!(owns("https://{resource}.openai.azure.com", "mine.openai.azure.com"));
        assert!(!owns("https://{resource}.openai.azure.com", ".openai.azure.com"));
        assert!(owns(
            "https://{location}-aiplatform.googleapis.com",
            "europe-west4-aiplatform.googleapis.com"
        ));
        assert!(!owns("http://localhost:8000/v1", "localhost"));
        assert!(!owns("", "example.com"));
    }
}
