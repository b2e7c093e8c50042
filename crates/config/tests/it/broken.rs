//! What is said about broken configurations. Each case is one text; its golden output stands in `snapshots/`.

use crate::check;

/// A complete configuration, to which each case adds what is wrong.
const REST: &str = r#"
[[deployment]]
name = "main"
provider = "openai"
model = "gpt-5.4"

[[key]]
id = "me"
secret = { env = "GATEWAY_KEY" }
"#;

fn said(text: &str) -> String {
    let problems = check(text).expect_err("this must not be accepted").to_string();
    assert!(!problems.contains("canary"), "a secret is shown: {problems}");
    assert!(problems.contains("etc/"), "no place is named: {problems}");
    problems
}

macro_rules! cases {
    ($($name:ident: $text:expr;)+) => {
        $(#[test]
        fn $name() {
            let text: String = $text;
            insta::assert_snapshot!(stringify!($name), said(&text));
        })+
    };
}

fn with(head: &str) -> String {
    format!("{head}\n{REST}")
}

fn and(tail: &str) -> String {
    format!("{REST}\n{tail}")
}

cases! {
    empty_file: String::new();
    not_toml: with("[listen\ndata = 3");
    duplicate_key: with("[listen]\ndata = \"127.0.0.1:1\"\ndata = \"127.0.0.1:2\"");
    unknown_table: with("[listne]\ndata = \"127.0.0.1:8080\"");
    unknown_field: with("[listen]\nport = 8080");
    wrong_type: with("[listen]\ndata = 8080");
    table_instead_of_list: "[deployment]\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\n".to_owned();
    not_an_address: with("[listen]\ndata = \"localhost\"");
    same_address: with("[listen]\ndata = \"127.0.0.1:8081\"");
    wrong_words: with("explain_to_callers = \"all\"\n[journal]\ndurability = \"disk\"");
    durability_not_built: with("[journal]\ndurability = \"power\"");
    not_a_duration: with("[limits]\ndrain = \"30\"\n[journal]\nretention = \"1 month\"");
    not_a_size: with("[limits]\nbody = \"64 MB\"");
    buffered_below_body: with("[limits]\nbody = \"2 GiB\"");
    number_out_of_range: with("[limits]\nconnections = -1\nworkers = 100000");
    no_worker: with("[limits]\nworkers = 0\nconnections = 0\nidle = \"0s\"");
    no_deployment: "[[key]]\nid = \"me\"\nsecret = { env = \"GATEWAY_KEY\" }\n".to_owned();
    no_key: "[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\n".to_owned();
    unknown_provider: and("[[deployment]]\nprovider = \"asure\"\nmodel = \"gpt-5.4\"");
    provider_missing: and("[[deployment]]\nmodel = \"gpt-5.4\"");
    field_of_another_provider: and("[[deployment]]\nname = \"b\"\nprovider = \"openai\"\nmodel = \"m\"\nresource = \"acme\"");
    field_missing_for_provider: and("[[deployment]]\nprovider = \"bedrock\"\nmodel = \"anthropic.claude-opus-5-5\"\n[[deployment]]\nprovider = \"vertex\"\nmodel = \"gemini-3-pro\"\nlocation = \"Europe West\"");
    field_misspelt: and("[[deployment]]\nname = \"b\"\nprovider = \"azure\"\nmodel = \"gpt-5.4\"\nresouce = \"acme\"\napi_key = { env = \"AZURE_KEY\" }");
    same_deployment_twice: and("[[deployment]]\nname = \"main\"\nprovider = \"openai\"\nmodel = \"gpt-6\"");
    same_place_twice: and("[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-6\"\n[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-6\"");
    bad_name: and("[[deployment]]\nname = \"a b@c\"\nprovider = \"openai\"\nmodel = \"gpt-6\"");
    secret_in_clear: and("[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-6\"\napi_key = \"sk-canary\"\n[[key]]\nid = \"k\"\nsecret = { value = \"sk-canary\" }");
    secret_forms: and("[[key]]\nid = \"a\"\nsecret = { environment = \"GATEWAY_KEY\" }\n[[key]]\nid = \"b\"\nsecret = {}\n[[key]]\nid = \"c\"\nsecret = 42\n[[key]]\nid = \"d\"\nsecret = \"identity\"");
    variable_not_set: and("[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-6\"\napi_key = { env = \"OPENAI_KEY\" }\n[[key]]\nid = \"k\"\nsecret = { env = \"EMPTY\" }");
    secret_file_missing: and("[[key]]\nid = \"k\"\nsecret = { file = \"nowhere.txt\" }\n[[key]]\nid = \"l\"\nsecret = { file = \"two-lines.txt\" }");
    no_usual_key: and("[[deployment]]\nprovider = \"anthropic\"\nmodel = \"claude-opus-5-5\"\n[[deployment]]\nprovider = \"openai-compatible\"\nmodel = \"m\"\nendpoint = \"https://llm.example/v1\"");
    identity_not_known: and("[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-6\"\napi_key = \"identity\"");
    key_beside_identity: and("[[deployment]]\nprovider = \"azure\"\nresource = \"acme\"\nmodel = \"gpt-6\"\nauth = \"entra\"\napi_key = { env = \"AZURE_KEY\" }");
    facts_wrong: and("[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-6\"\nfacts = { retention = \"none\", regoin = \"eu\", cloud = [\"aws\", \"gcp\"], jurisdictions = \"@eu\" }");
    price_wrong: and("[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-6\"\nprice = { input = -1, outptu = 2 }");
    model_points_nowhere: and("[[model]]\nname = \"smart\"\ndeployments = [\"mian\", \"main\", \"main\"]\n[[model]]\nname = \"gpt-5\"\n[[model]]\nname = \"x\"\nof = \"gpt-5.4\"\ndeployments = []");
    model_twice: and("[[model]]\nname = \"smart\"\nof = \"gpt-5.4\"\naliases = [\"clever\"]\n[[model]]\nname = \"clever\"\nof = \"gpt-5.4\"");
    workload_wrong: and("[[workload]]\nname = \"w\"\nresidency = \"europe\"\nmodels = [\"gpt-5\"]\n[[workload]]\nname = \"w\"");
    key_points_nowhere: and("[[workload]]\nname = \"research\"\n[[key]]\nid = \"k\"\nsecret = { env = \"OTHER_KEY\" }\nworkload = \"reserch\"");
    keys_alike: and("[[key]]\nid = \"me\"\nsecret = { env = \"GATEWAY_KEY\" }");
    pack_unknown: with("[terms]\npack = [{ id = \"microsoft-openia\", mode = \"enforce\" }, { id = \"eu-residency\", mode = \"on\" }]");
    terms_folder_missing: with("[terms]\ndir = \"term\"");
    pack_broken: with("[terms]\ndir = \"broken-terms\"");
    event_not_a_date: with("[terms.events]\nagi = \"someday\"");
    own_facts_broken: with("facts = [\"own-facts.toml\", \"none.toml\"]");
    proxy_wrong: and("[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-6\"\nproxy = \"http://u:canary@proxy:1\"\n[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-7\"\nproxy = \"proxy:3128\"\n[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-8\"\nno_proxy = [\"a\"]\nproxy_auth = { env = \"PROXY_AUTH\" }");
    tls_wrong: and("[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-6\"\ntls = { ca_file = \"not.pem\", ca_only = true }\n[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-7\"\ntls = { ca_only = true }\n[[deployment]]\nprovider = \"openai\"\nmodel = \"gpt-8\"\ntls = { client_cert = \"none.pem\" }");
    many_at_once: "[listen]\ndata = 1\nadmim = \"x\"\n[[deployment]]\nprovider = \"asure\"\nmodel = \"m\"\norder = \"first\"\n[[deployment]]\nname = 3\nprovider = \"openai\"\nmodel = \"n\"\nregion = \"mars\"\n[[workload]]\nteam = \"t\"\n[[key]]\nid = \"k\"\nsecret = { env = \"NOPE\" }\nworkload = \"w\"\n".to_owned();
}

#[test]
fn a_long_file_is_refused_at_once() {
    let text = "#".repeat((16 << 20) + 1);
    assert!(said(&text).contains("longer than"));
}
