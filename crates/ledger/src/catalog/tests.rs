use super::*;
use crate::price::Rates;

const TEXT: &str = r#"{"provider":"azure","model":"gpt-5.4","from":"2026-10-01","rates":{"standard":[2500000,15000000,250000],"standard>272000":[5000000,22500000],"flex":[1250000,7500000]},"context":1050000,"output":128000,"can":"tools parallel-tools vision json-schema","reasoning":"effort","retired":"2027-09-02"}
{"provider":"azure","model":"gpt-5.4","geo":"eu","rates":{"standard":[2750000,16500000]},"can":"tools"}
{"provider":"bedrock","model":"us.openai.gpt-5.4","geo":"us","name":"gpt-5.4","rates":{"standard":[2750000,16500000]}}
{"provider":"openai","model":"gpt-5.4","until":"2026-10-01","rates":{"standard":[3000000,15000000]}}
{"provider":"openai","model":"gpt-5.4","from":"2026-10-01","rates":{"standard":[2500000,15000000]},"uplift":{"eu":1100}}
{"provider":"openai","model":"gpt-5.4-mini"}
"#;

fn catalog() -> Catalog {
    Catalog::parse(TEXT).unwrap()
}

fn at(day: &str) -> Timestamp {
    format!("{day}T12:00:00Z").parse().unwrap()
}

fn input(row: Option<&PriceRow>) -> Option<u64> {
    row.and_then(|row| row.rates(Tier::Standard, 0)).map(|rates: &Rates| rates.input)
}

#[test]
fn finds_prices_by_provider_model_day_tier_and_place() {
    let catalog = catalog();
    let now = at("2026-11-21");
    let price = |provider, model, at, tier, geo| catalog.price(provider, model, at, tier, geo);
    assert_eq!(input(price("azure", "gpt-5.4", now, Tier::Standard, "")), Some(2_500_000));
    assert_eq!(input(price("azure", "gpt-5.4", now, Tier::Standard, "eu")), Some(2_750_000));
    assert_eq!(input(price("azure", "gpt-5.4", now, Tier::Standard, "apac")), Some(2_500_000));
    assert_eq!(input(price("openai", "gpt-5.4", at("2026-09-30"), Tier::Standard, "")), Some(3_000_000));
    assert_eq!(input(price("openai", "gpt-5.4", at("2026-10-01"), Tier::Standard, "")), Some(2_500_000));
    assert!(price("azure", "gpt-5.4", now, Tier::Priority, "").is_none());
    assert!(price("azure", "gpt-5.4", at("2026-09-01"), Tier::Standard, "").is_none());
    assert!(price("azure", "gpt-5", now, Tier::Standard, "").is_none());
    assert!(price("openai", "gpt-5.4-mini", now, Tier::Standard, "").is_none());
}

#[test]
fn a_model_has_its_own_name_and_its_name_on_the_wire() {
    let catalog = catalog();
    let now = at("2026-11-21");
    assert_eq!(
        input(catalog.price("bedrock", "us.openai.gpt-5.4", now, Tier::Standard, "us-east-2")),
        Some(2_750_000)
    );
    assert_eq!(input(catalog.price("bedrock", "gpt-5.4", now, Tier::Standard, "us")), Some(2_750_000));
    assert!(catalog.price("bedrock", "gpt-5.4", now, Tier::Standard, "eu").is_none());
    let providers: Vec<&str> = catalog.model("gpt-5.4").iter().map(|entry| &*entry.provider).collect();
    assert_eq!(providers, ["azure", "azure", "bedrock", "openai", "openai"]);
    assert!(catalog.model("gpt-5").is_empty());
}

#[test]
fn tells_what_a_model_can_do_and_until_when() {
    let catalog = catalog();
    let can = catalog.capabilities("azure", "gpt-5.4").unwrap();
    assert!(can.tools && can.vision && !can.logprobs);
    assert_eq!((can.context_tokens, can.max_output_tokens), (1_050_000, 128_000));
    assert_eq!(can.reasoning, domain::ReasoningControl::Effort);
    let entry = catalog.entry("azure", "gpt-5.4", "").unwrap();
    assert_eq!(entry.retired, Some(Date::constant(2027, 9, 2)));
    let sheet = catalog.sheet("openai", "gpt-5.4", "eu");
    assert_eq!(sheet.rows().len(), 2);
    assert_eq!(sheet.at(at("2026-11-21")).unwrap().uplift_permille("eu"), 1100);
}

#[test]
fn says_which_line_is_wrong() {
    for (text, line, what) in [
        ("{\"model\":\"x\"}\n", "line 1", "provider and model"),
        (
            "{\"provider\":\"b\",\"model\":\"x\"}\n{\"provider\":\"a\",\"model\":\"x\"}\n",
            "line 2",
            "out of order",
        ),
    ] {
        let error = Catalog::parse(text).unwrap_err().to_string();
        assert!(error.contains(line) && error.contains(what), "{error}");
    }
    for (rest, what) in [
        (r#","rates":{"warp":[1,2]}"#, "unknown tier"),
        (r#","rates":{"flex":[1]}"#, "without a price of output"),
        (r#","rates":{"flex>x":[1,2]}"#, "not a number"),
        (r#","can":"fly""#, "unknown capability"),
        (r#","colour":"red""#, "unknown field"),
        (r#","from":"2026-13-01""#, "month"),
    ] {
        let text = format!("{{\"provider\":\"a\",\"model\":\"x\"{rest}}}\n");
        let catalog = Catalog::parse(text).unwrap();
        let error = catalog.check().unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        assert!(catalog.entry("a", "x", "").is_none());
    }
}

#[test]
fn the_catalog_of_the_repository_can_be_read() {
    let catalog = Catalog::parse(include_str!("../../../../catalog/prices.jsonl")).unwrap();
    catalog.check().unwrap();
    let now = at("2026-11-21");
    let price = |provider, model, geo| input(catalog.price(provider, model, now, Tier::Standard, geo));
    assert_eq!(price("azure", "gpt-6.1-sol", "eu"), Some(2_400_000));
    assert_eq!(price("azure", "gpt-6.1-sol", "us"), Some(2_200_000));
    assert_eq!(price("openai", "gpt-6.1-sol", ""), Some(2_000_000));
    assert_eq!(price("bedrock", "us.anthropic.claude-opus-5-5", "us-east-2"), Some(4_400_000));
    assert_eq!(price("bedrock", "openai.gpt-oss-120b-1:0", "us-east-2"), Some(150_000));
    let opus = catalog.capabilities("anthropic", "claude-opus-5-5").unwrap();
    assert_eq!(opus.reasoning, domain::ReasoningControl::Adaptive);
    assert!(opus.tools && opus.json_schema && !opus.sampling && !opus.prefill && !opus.forced_tools);
    let providers = catalog.model("gpt-5.4").into_iter().map(|entry| &*entry.provider);
    let providers: std::collections::BTreeSet<&str> = providers.collect();
    assert!(["azure", "bedrock", "openai"].iter().all(|provider| providers.contains(provider)));
}
