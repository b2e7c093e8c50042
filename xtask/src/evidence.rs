//! `cargo xtask evidence`: `docs/evidence.md`, what of each provider was written, simulated, recorded, seen live.
//!
//! Nothing here is asserted by hand but [`FEATURES`] (what is looked for) and [`LIVE`] (what was seen):
//! - *written*: a call that uses the feature is encoded for the provider's endpoint; what it loses is told;
//! - *simulated*: the SDK suite has a case for it, and a target of the demo that is this provider;
//! - *recorded*: the index of the recordings has an answer of the provider with the feature's tag.

use crate::test;
use anyhow::{Context as _, Result, anyhow, bail};
use dialects::{Envelope, Target, codec};
use domain::{Capabilities, Dialect, ReasoningControl};
use providers::{Provider, Written, registry};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt::Write as _, path::Path};

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail where the checked-in file is not what would be made. Without the recordings their
    /// column is not compared.
    #[arg(long)]
    check: bool,
}

/// A feature, and by what it is found.
struct Feature {
    name: &'static str,
    /// Members of a chat request that uses it, beside the model; empty where it is about answers alone.
    request: &'static str,
    /// Tags of the recordings, any of them; empty: every answered one; `-`: none has a tag for it.
    tags: &'static [&'static str],
    /// The SDK suite's case.
    case: Option<&'static str>,
}

const ASK: &str = r#""messages":[{"role":"user","content":"x"}]"#;
const TOOL: &str = r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#;

const FEATURES: &[Feature] = &[
    Feature { name: "chat", request: "ASK", tags: &[], case: Some("test_chat") },
    Feature {
        name: "streams",
        request: r#"ASK,"stream":true"#,
        tags: &["stream"],
        case: Some("test_stream"),
    },
    Feature {
        name: "instructions",
        request: r#""messages":[{"role":"developer","content":"d"},{"role":"user","content":"x"}]"#,
        tags: &["system"],
        case: Some("test_instructions"),
    },
    Feature {
        name: "tools",
        request: r#"TOOL,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1aaaaaaa","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1aaaaaaa","content":"1"}]"#,
        tags: &["tool-call"],
        case: Some("test_there_and_back"),
    },
    Feature {
        name: "parallel tools",
        request: r#"TOOL,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"tool_calls":[{"id":"c1aaaaaaa","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c2aaaaaaa","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1aaaaaaa","content":"1"},{"role":"tool","tool_call_id":"c2aaaaaaa","content":"2"}]"#,
        tags: &["parallel-calls"],
        case: Some("test_parallel"),
    },
    Feature {
        name: "tool choice",
        request: r#"TOOL,ASK,"tool_choice":"required""#,
        tags: &["tool-choice"],
        case: Some("test_forced"),
    },
    Feature {
        name: "JSON schema",
        request: r#"ASK,"response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}"#,
        tags: &["structured"],
        case: Some("test_parse"),
    },
    Feature {
        name: "images",
        request: r#""messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]"#,
        tags: &["image"],
        case: Some("test_vision"),
    },
    Feature {
        name: "documents",
        request: r#""messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}}]}]"#,
        tags: &["document"],
        case: None,
    },
    Feature {
        name: "reasoning",
        request: r#"ASK,"reasoning_effort":"high""#,
        tags: &["thinking", "reasoning-usage"],
        case: Some("test_reasoning"),
    },
    Feature {
        name: "stop texts",
        request: r#"ASK,"stop":["END"]"#,
        tags: &["stop-seq"],
        case: Some("test_stop"),
    },
    Feature {
        name: "likelihoods",
        request: r#"ASK,"logprobs":true,"top_logprobs":2"#,
        tags: &["logprobs"],
        case: None,
    },
    Feature {
        name: "several candidates",
        request: r#"ASK,"n":2"#,
        tags: &["-"],
        case: Some("test_candidates"),
    },
    Feature { name: "cached tokens", request: "", tags: &["cached-usage"], case: None },
    Feature { name: "errors", request: "", tags: &["error"], case: Some("test_rate_limited") },
    Feature {
        name: "errors in streams",
        request: "",
        tags: &["midstream-error"],
        case: Some("test_a_broken_stream_is_an_error"),
    },
];

/// Something that was seen with real keys. A line is added together with the report that shows it.
struct Live {
    provider: &'static str,
    dialect: Dialect,
    feature: &'static str,
    date: &'static str,
    commit: &'static str,
}

/// Nothing yet.
const LIVE: &[Live] = &[];

/// Endpoints of the recordings by dialect.
const fn endpoints(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::OpenAiChat => &["chat.completions"],
        Dialect::OpenAiResponses => &["responses", "responses.compact"],
        Dialect::AnthropicMessages => &["messages"],
        Dialect::Gemini => &["generateContent", "streamGenerateContent"],
        Dialect::BedrockConverse => &["converse", "converse-stream"],
    }
}

/// Runs the command in the workspace `root`.
pub(crate) fn run(root: &Path, args: &Args) -> Result<()> {
    let path = root.join("docs/evidence.md");
    let recordings = match test::fixtures(root) {
        Some(folder) => Some(index(&folder)?),
        None => None,
    };
    let Some(recordings) = recordings else {
        if !args.check {
            bail!("the recordings are not here, and their column would be lost; set CABOTAGE_FIXTURES");
        }
        let made = document(root, &[])?;
        println!("evidence: the column `recorded` is not compared, the recordings are not here");
        return compare(&without_recordings(&made), &without_recordings(&std::fs::read_to_string(&path)?));
    };
    let made = document(root, &recordings)?;
    if args.check {
        return compare(&made, &std::fs::read_to_string(&path).context("docs/evidence.md")?);
    }
    std::fs::write(&path, &made)?;
    println!("evidence: docs/evidence.md, {} lines", made.lines().count());
    Ok(())
}

fn compare(made: &str, checked_in: &str) -> Result<()> {
    let differs = made.lines().zip(checked_in.lines()).find(|(made, checked_in)| made != checked_in);
    if let Some((made, checked_in)) = differs {
        bail!("docs/evidence.md says\n  {checked_in}\nand should say\n  {made}\nrun `cargo xtask evidence`");
    }
    if made.lines().count() != checked_in.lines().count() {
        bail!("docs/evidence.md has other rows than there should be; run `cargo xtask evidence`");
    }
    println!("evidence: docs/evidence.md is what the code and the recordings say");
    Ok(())
}

// === the parts of a cell ===

/// One recording, as far as it counts here.
#[derive(Deserialize)]
struct Recording {
    provider: String,
    endpoint: String,
    stream: bool,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    tags: Vec<String>,
}

fn index(folder: &Path) -> Result<Vec<Recording>> {
    let text = std::fs::read_to_string(folder.join("index.json"))?;
    serde_json::from_str(&text).with_context(|| format!("{}/index.json", folder.display()))
}

/// What is looked at: a provider, spoken to in one dialect.
struct Row {
    provider: &'static dyn Provider,
    dialect: Dialect,
}

impl Row {
    fn id(&self) -> &'static str {
        self.provider.descriptor().id
    }

    fn title(&self) -> String {
        let descriptor = self.provider.descriptor();
        match descriptor.dialects {
            [_] => format!("{} (`{}`)", descriptor.name, descriptor.id),
            _ => format!("{} (`{}`), {}", descriptor.name, descriptor.id, self.dialect),
        }
    }

    /// Encodes a call with the feature for an endpoint of the row.
    fn written(&self, feature: &Feature) -> Result<String> {
        if feature.request.is_empty() {
            return Ok("yes".to_owned());
        }
        let endpoint =
            registry::check(&self.sample()).map_err(|errors| anyhow!("{}: {errors:?}", self.id()))?;
        let members = feature.request.replace("ASK", ASK).replace("TOOL", TOOL);
        let body = format!(r#"{{"model":"m",{members}}}"#);
        let call = codec(Dialect::OpenAiChat)
            .decode_call(body.as_bytes(), &Envelope::default())
            .map_err(|fault| anyhow!("{}: {fault}", feature.name))?;
        let reasoning = match self.dialect {
            Dialect::OpenAiChat | Dialect::OpenAiResponses => ReasoningControl::Effort,
            _ => ReasoningControl::Budget,
        };
        let capabilities = Capabilities { reasoning, max_output_tokens: 8_192, ..Capabilities::default() };
        let target = Target { model: "m", capabilities: &capabilities, quirks: endpoint.quirks() };
        Ok(match codec(self.dialect).encode_call(&call, &target) {
            Ok(encoded) if encoded.losses.is_empty() => "yes".to_owned(),
            Ok(encoded) => format!("loses {}", encoded.losses),
            Err(_) => "refused".to_owned(),
        })
    }

    /// A deployment with what the provider demands.
    fn sample(&self) -> Written {
        let descriptor = self.provider.descriptor();
        let text = |value: &str| Some(value.to_owned());
        let mut written = Written {
            provider: descriptor.id.into(),
            model: "m".into(),
            wire_model: text("maker.model"),
            dialect: Some(self.dialect),
            endpoint: descriptor.base_url.is_empty().then(|| "https://llm.example".into()),
            ..Written::default()
        };
        for field in descriptor.fields.iter().filter(|field| field.required) {
            match field.name {
                "resource" => written.resource = text("acme"),
                "region" => written.region = text("us-east-2"),
                "location" => written.location = text("global"),
                "project" => written.project = text("p1"),
                _ => {}
            }
        }
        written
    }

    fn recorded(&self, feature: &Feature, recordings: &[Recording]) -> String {
        let folders = self.provider.descriptor().recordings;
        let is_error = feature.name == "errors";
        let count = recordings
            .iter()
            .filter(|one| folders.contains(&one.provider.as_str()))
            .filter(|one| endpoints(self.dialect).contains(&one.endpoint.as_str()))
            .filter(|one| {
                (one.status.unwrap_or(200) >= 400) == is_error || feature.name.starts_with("errors")
            })
            .filter(|one| match feature.tags {
                [] => true,
                ["stream"] => one.stream,
                tags => tags.iter().any(|tag| one.tags.iter().any(|own| own == tag)),
            })
            .count();
        if count == 0 { String::new() } else { format!("{count}, date not given") }
    }

    fn live(&self, feature: &Feature) -> String {
        LIVE.iter()
            .filter(|live| live.provider == self.id() && live.dialect == self.dialect)
            .filter(|live| live.feature == feature.name)
            .map(|live| format!("{}, {}", live.date, live.commit))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

fn rows() -> Vec<Row> {
    registry::providers()
        .flat_map(|provider| {
            let dialects = provider.descriptor().dialects.iter();
            dialects.map(move |dialect| Row { provider, dialect: *dialect })
        })
        .collect()
}

/// The simulated clouds: provider and dialect, and whether they give several candidates.
type Simulated = BTreeMap<(String, Dialect), bool>;

/// The SDK suite's targets, by the demo's deployments that they pin.
fn simulated(root: &Path) -> Result<Simulated> {
    #[derive(Deserialize)]
    struct Pinned {
        model: String,
        deployment: String,
        candidates: bool,
    }
    let text = std::fs::read_to_string(root.join("sdk/tests/targets.json"))?;
    let targets: BTreeMap<String, Pinned> = serde_json::from_str(&text).context("sdk/tests/targets.json")?;
    let text = std::fs::read_to_string(root.join("demo/cabotage.toml"))?;
    let demo: toml::Table = toml::from_str(&text).context("demo/cabotage.toml")?;
    let deployments: Vec<&toml::Table> = demo
        .get("deployment")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(toml::Value::as_table)
        .collect();
    let mut found = Simulated::new();
    for (name, target) in &targets {
        let text = |table: &toml::Table, field: &str| {
            table.get(field).and_then(toml::Value::as_str).map(str::to_owned)
        };
        let pinned = deployments.iter().find(|table| {
            let own = text(table, "name").unwrap_or_default();
            text(table, "model").as_deref() == Some(target.model.as_str())
                && (own == target.deployment || own == format!("{}/{}", target.model, target.deployment))
        });
        let Some(pinned) = pinned else {
            println!("evidence: the SDK target `{name}` pins no deployment of the demo and does not count");
            continue;
        };
        let mut fields = (*pinned).clone();
        fields.retain(|field, _| !GATEWAYS_OWN.contains(&field));
        let written: Written = toml::Value::Table(fields)
            .try_into()
            .with_context(|| format!("{name}: the demo's deployment"))?;
        let endpoint = registry::check(&written).map_err(|errors| anyhow!("{name}: {errors:?}"))?;
        let key = (endpoint.provider().descriptor().id.to_owned(), endpoint.dialect());
        *found.entry(key).or_default() |= target.candidates;
    }
    Ok(found)
}

/// Fields of a deployment that are the gateway's, not the provider's.
const GATEWAYS_OWN: &[&str] = &[
    "name",
    "api_key",
    "order",
    "facts",
    "capabilities",
    "price",
    "concurrency",
    "timeouts",
    "proxy",
    "tls",
];

/// The SDK suite's text, where its cases are looked up.
fn suite(root: &Path) -> Result<String> {
    let mut text = String::new();
    for entry in std::fs::read_dir(root.join("sdk/tests"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "py") {
            text.push_str(&std::fs::read_to_string(path)?);
        }
    }
    Ok(text)
}

// === the document ===

const HEAD: &str = "\
# Evidence

Made by `cargo xtask evidence`; do not edit. What we claim of a provider is what stands here.

| column | means |
| --- | --- |
| written | a chat call with the feature is encoded for the provider (`loses …`: named to the caller; `refused`: the call goes elsewhere or is an error). Features without a request are written for all |
| simulated | the case of the official OpenAI client's suite (`sdk/tests`) that `cargo xtask test` runs against our simulated cloud of this provider |
| recorded | real answers of the provider, taken from public recordings, that our decoders read in tests; how many, and when they were recorded, where the recording says so |
| live | date and commit of a run with real keys |

No cell of `live` is filled by anything but such a run.
";

fn document(root: &Path, recordings: &[Recording]) -> Result<String> {
    let (simulated, suite) = (simulated(root)?, suite(root)?);
    for case in FEATURES.iter().filter_map(|feature| feature.case) {
        if !suite.contains(&format!("def {case}(")) {
            bail!("the SDK suite has no case `{case}`: mend FEATURES in xtask/src/evidence.rs");
        }
    }
    let mut summary = String::from(TABLE_OF_SUMS);
    let mut sections = String::new();
    for row in rows() {
        let _ = write!(sections, "\n## {}\n\n{TABLE}", row.title());
        let mut sums = [0_usize; 4];
        for feature in FEATURES {
            let candidates = simulated.get(&(row.id().to_owned(), row.dialect));
            let case = match (feature.case, candidates) {
                (Some("test_candidates"), Some(false)) | (None, _) | (_, None) => String::new(),
                (Some(case), Some(_)) => format!("`{case}`"),
            };
            let cells = [row.written(feature)?, case, row.recorded(feature, recordings), row.live(feature)];
            for (sum, cell) in sums.iter_mut().zip(&cells) {
                *sum += usize::from(!cell.is_empty() && cell != "refused");
            }
            let _ = writeln!(sections, "| {} | {} |", feature.name, cells.join(" | "));
        }
        let sums = sums.map(|sum| sum.to_string()).join(" | ");
        let _ = writeln!(summary, "| {} | {sums} |", row.title());
    }
    Ok(format!("{HEAD}\n{}\n{summary}{sections}", format_args!("Of {} features each:\n", FEATURES.len())))
}

const TABLE: &str = "\
| feature | written | simulated | recorded | live |
| --- | --- | --- | --- | --- |
";
const TABLE_OF_SUMS: &str = "\
| provider | written | simulated | recorded | live |
| --- | --- | --- | --- | --- |
";

/// The document with an empty column `recorded`.
fn without_recordings(text: &str) -> String {
    text.lines()
        .map(|line| {
            let mut cells: Vec<&str> = line.split('|').collect();
            if let [_, _, _, _, recorded, _, _] = cells.as_mut_slice() {
                *recorded = "";
            }
            cells.join("|") + "\n"
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_written() {
        for row in rows() {
            assert_eq!(row.written(&FEATURES[0]).expect("a plain chat"), "yes", "{}", row.title());
            for feature in FEATURES {
                row.written(feature).unwrap_or_else(|error| panic!("{}: {error}", row.title()));
            }
        }
    }

    #[test]
    fn what_a_dialect_cannot_say_is_told() {
        let row = rows().into_iter().find(|row| row.dialect == Dialect::AnthropicMessages).expect("one");
        let of = |name: &str| {
            let feature = FEATURES.iter().find(|feature| feature.name == name).expect("known");
            row.written(feature).expect("written")
        };
        assert_eq!(of("several candidates"), "refused");
        assert!(of("likelihoods").starts_with("loses"), "{}", of("likelihoods"));
    }

    #[test]
    fn only_the_recordings_column_is_left_out() {
        let row = "| chat | yes | `test_chat` | 4, date not given |  |\n";
        assert_eq!(without_recordings(row), "| chat | yes | `test_chat` ||  |\n");
        assert_eq!(without_recordings("| live | date |\n"), "| live | date |\n");
    }
}
