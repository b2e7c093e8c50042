//! `cabotage state`: export beside a running gateway, import, move, erase; and what `explain` says of a kept turn.

use crate::{
    cabotage,
    demo::{Demo, said},
    folder,
};
use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

const EU: &str = "sk-demo-eu";

/// Sends a request to a demo; its JSON, which is no error.
fn post(demo: &Demo, path: &str, body: &Value) -> Value {
    let value = ask(demo, path, body);
    assert!(value["error"].is_null(), "{path}: {value}");
    value
}

/// Sends a request to a demo; its JSON.
fn ask(demo: &Demo, path: &str, body: &Value) -> Value {
    let mut stream = TcpStream::connect(&demo.data).unwrap();
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {EU}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        demo.data,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

/// Every file below a folder that holds these words as they are.
fn files_with(folder: &Path, words: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.append(&mut files_with(&path, words));
        } else if std::fs::read(&path).unwrap().windows(words.len()).any(|part| part == words.as_bytes()) {
            found.push(path);
        }
    }
    found
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

/// A running demo with a conversation of two turns and a chain of two responses, one of them about Ann.
fn kept(place: &Path) -> (Demo, String, String) {
    let demo = Demo::start(place, &["--state", "kept"]);
    let conversation = id(&post(&demo, "/v1/conversations", &json!({"metadata": {"case": "4711"}})));
    for text in ["canary-conversation", "and on"] {
        let turn = json!({"model": "gpt-5.4", "conversation": conversation, "input": text});
        post(&demo, "/v1/responses", &turn);
    }
    let first = id(&post(&demo, "/v1/responses", &json!({"model": "gpt-5.4", "input": "canary-chain"})));
    let second =
        json!({"model": "gpt-5.4", "input": "canary-ann", "previous_response_id": first, "user": "ann"});
    let second = id(&post(&demo, "/v1/responses", &second));
    (demo, conversation, second)
}

fn state(place: &Path, arguments: &[&str]) -> Output {
    let words = [&["state"], arguments].concat();
    cabotage(place).args(words).output().unwrap()
}

fn done(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", said(output));
    said(output)
}

fn refused(output: &Output, part: &str) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(part), "`{part}` expected: {text}");
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const OF_EU: [&str; 4] = ["-c", "kept/cabotage.toml", "--workload", "support-eu"];

#[test]
fn an_export_beside_a_running_gateway_goes_on_in_another_one() {
    let place = folder(&[]);
    let place = place.path();
    let (demo, conversation, last) = kept(place);

    // Beside the gateway: all, one conversation, one chain.
    let all = state(place, &[&["export"], &OF_EU[..], &["-o", "all.jsonl"]].concat());
    assert!(done(&all).contains("exported from `state-eu`: 1 conversation, 4 responses"), "{}", said(&all));
    let one = state(place, &[&["export"], &OF_EU[..], &["--conversation", &conversation]].concat());
    assert!(done(&one).contains("1 conversation, 2 responses"), "{}", said(&one));
    assert_eq!(lines(&one)[1]["conversation"]["items"].as_array().unwrap().len(), 4);
    assert_eq!(lines(&one)[1]["conversation"]["items"][1]["from"]["deployment"], "gpt-5.4/azure-westeurope");
    let chain = state(place, &[&["export"], &OF_EU[..], &["--response", &last]].concat());
    assert!(done(&chain).contains("0 conversations, 2 responses, 4 items"), "{}", said(&chain));
    assert_eq!(lines(&chain)[2]["response"]["id"], last.as_str(), "the one before it comes first");

    // What cannot be done says so.
    for (more, part) in [
        (&["-o", "all.jsonl"][..], "all.jsonl is there already"),
        (&["--conversation", "conv_none"], "has no conversation `conv_none` in: state-eu"),
        (&["--response", "resp_none"], "has no response `resp_none`"),
        (&["--store", "moon"], "has no state store `moon`; there are: state, state-eu"),
    ] {
        refused(&state(place, &[&["export"], &OF_EU[..], more].concat()), part);
    }
    let nobody = ["export", "-c", "kept/cabotage.toml", "--workload", "nobody"];
    refused(&state(place, &nobody), "has no workload `nobody`; there are: research");
    refused(&state(place, &nobody), "nothing is kept of workload `nobody`");
    let turn = lines(&state(place, &[&["export"], &OF_EU[..]].concat()))
        .iter()
        .find(|line| line["response"]["conversation"] == conversation.as_str())
        .map(|line| line["response"]["id"].as_str().unwrap().to_owned());
    let inside = state(place, &[&["export"], &OF_EU[..], &["--response", &turn.unwrap()]].concat());
    refused(&inside, &format!("a part of the conversation `{conversation}`"));
    for order in [&["import", "all.jsonl"][..], &["erase", "--everything"]] {
        refused(&state(place, &[order, &OF_EU[..]].concat()), "stop that gateway, run this again");
    }
    drop(demo);

    // Another gateway takes it, as often as one likes.
    let written = cabotage(place).args(["demo", "--write", "other"]).output().unwrap();
    assert!(written.status.success(), "{}", said(&written));
    let other = ["-c", "other/cabotage.toml", "--workload", "support-eu"];
    let text = std::fs::read_to_string(place.join("all.jsonl")).unwrap();
    let half: Vec<&str> = text.lines().take(3).collect();
    std::fs::write(place.join("half.jsonl"), half.join("\n")).unwrap();
    refused(&state(place, &[&["import", "half.jsonl"], &other[..]].concat()), "ends before its last line");
    std::fs::write(place.join("changed.jsonl"), text.replacen("canary-", "parrot-", 1)).unwrap();
    refused(&state(place, &[&["import", "changed.jsonl"], &other[..]].concat()), "line 2: ");
    let whole = done(&state(place, &[&["import", "all.jsonl"], &other[..]].concat()));
    assert_eq!(whole, "imported into `state-eu`: 3 new, 2 there already\n");
    let again = state(place, &[&["import", "--json", "all.jsonl"], &other[..]].concat());
    assert_eq!(lines(&again)[0], json!({"new": 0, "already": 5, "different": [], "complete": true}));

    let demo = Demo::start(place, &["--state", "other"]);
    let body = json!({"model": "gpt-5.4", "input": "still there?", "previous_response_id": last});
    let answer = post(&demo, "/v1/responses", &body);
    assert!(answer["output"][0]["content"][0]["text"].as_str().unwrap().contains("5 messages"), "{answer}");
    let body = json!({"model": "gpt-5.4", "input": "and here?", "conversation": conversation});
    let answer = post(&demo, "/v1/responses", &body);
    assert!(answer["output"][0]["content"][0]["text"].as_str().unwrap().contains("5 messages"), "{answer}");
}

#[test]
fn a_move_empties_the_source_and_an_erasure_has_a_receipt() {
    let place = folder(&[]);
    let place = place.path();
    let (demo, _, last) = kept(place);
    assert_eq!(demo.interrupt(), Some(0));

    let to = |from: &'static str, to: &'static str| {
        let more = ["--from", from, "--to", to];
        state(place, &[&["move"], &OF_EU[..], &more].concat())
    };
    refused(&to("state", "state"), "are the same file");
    refused(&to("state-eu", "moon"), "has no state store `moon`");
    let moved = done(&to("state-eu", "state"));
    assert!(moved.contains("moved from `state-eu` to `state`: 5 new, 0 there already"), "{moved}");
    assert!(done(&to("state-eu", "state")).contains("nothing is kept"));
    let eu = state(place, &[&["export"], &OF_EU[..]].concat());
    refused(&eu, "nothing is kept of workload `support-eu` in: state-eu");
    let there = state(place, &[&["export"], &OF_EU[..], &["--store", "state"]].concat());
    assert!(done(&there).contains("1 conversation, 4 responses"), "{}", said(&there));
    // To another gateway's store.
    let written = cabotage(place).args(["demo", "--write", "other"]).output().unwrap();
    assert!(written.status.success(), "{}", said(&written));
    let more = ["--from", "state", "--to", "state-eu", "--to-config", "other/cabotage.toml"];
    done(&state(place, &[&["move"], &OF_EU[..], &more].concat()));
    let other = ["-c", "other/cabotage.toml", "--workload", "support-eu"];
    assert!(done(&state(place, &[&["export"], &other[..]].concat())).contains("4 responses"));

    // A new turn about Ann, beside what was moved.
    let demo = Demo::start(place, &["--state", "other"]);
    let body =
        json!({"model": "gpt-5.4", "input": "canary-ann-2", "user": "ann", "previous_response_id": last});
    post(&demo, "/v1/responses", &body);
    drop(demo);
    let before = state(place, &[&["export"], &other[..]].concat());
    assert!(done(&before).contains("canary-ann-2"));
    let erased = state(place, &[&["erase"], &other[..], &["--subject", "ann"]].concat());
    done(&erased);
    let receipts = lines(&erased);
    let receipt = receipts.iter().find(|receipt| receipt["store"] == "state-eu").unwrap();
    assert_eq!((&receipt["responses"], &receipt["log_emptied"]), (&json!(1), &json!(true)));
    assert!(receipt["keys_destroyed"].as_u64() > Some(0), "{receipt}");
    assert!(!said(&erased).contains("\"ann\""), "the receipt does not name the person");
    let after = done(&state(place, &[&["export"], &other[..]].concat()));
    assert!(!after.contains("canary-ann-2") && after.contains("canary-chain"), "{after}");
    let rest = state(place, &[&["erase"], &other[..], &["--everything"]].concat());
    assert!(done(&rest).contains("\"conversations\":1"), "{}", said(&rest));
    refused(&state(place, &[&["export"], &other[..]].concat()), "nothing is kept");
    // Journal, ledger, stores and their logs: the words are in none of them, and were not before.
    for canary in ["canary-ann", "canary-chain", "canary-conversation"] {
        assert_eq!(files_with(place, canary), Vec::<PathBuf>::new(), "{canary}");
    }
    let none = state(place, &[&["erase"], &other[..], &["--subject", "bob"]].concat());
    assert!(done(&none).contains("nothing was kept of it"));
}

#[test]
fn what_is_erased_is_in_no_file_and_no_later_export() {
    let place = folder(&[]);
    let place = place.path();
    let (demo, _, last) = kept(place);
    let again =
        json!({"model": "gpt-5.4", "input": "canary-ann-2", "user": "ann", "previous_response_id": last});
    let last = id(&post(&demo, "/v1/responses", &again));
    assert_eq!(demo.interrupt(), Some(0));
    let export = |file: &str| state(place, &[&["export"], &OF_EU[..], &["-o", file]].concat());
    done(&export("before.jsonl"));
    assert_eq!(files_with(place, "canary-ann-2"), [place.join("before.jsonl")], "it is found where it is");

    done(&state(place, &[&["erase"], &OF_EU[..], &["--subject", "ann"]].concat()));
    done(&export("after.jsonl"));
    assert_eq!(files_with(place, "canary-ann"), [place.join("before.jsonl")]);
    assert_eq!(files_with(place, &last), [place.join("before.jsonl")], "nor is the response's id");
    assert!(files_with(place, "canary-chain").contains(&place.join("after.jsonl")), "others' words stay");
}

#[test]
fn an_item_above_the_bound_is_refused_by_its_place() {
    let place = folder(&[]);
    let demo = Demo::start(place.path(), &["--state", "kept"]);
    let input =
        json!([{"role": "user", "content": "short"}, {"role": "user", "content": "x".repeat(17 << 20)}]);
    let error = &ask(&demo, "/v1/responses", &json!({"model": "gpt-5.4", "input": input}))["error"];
    assert_eq!((&error["code"], &error["param"]), (&json!("item_too_large"), &json!("input[1]")), "{error}");
    assert_eq!(error["type"], "invalid_request_error");
}

#[test]
fn conversations_of_others_are_imported() {
    let openai = json!({
        "id": "conv_theirs", "object": "conversation", "created_at": 1_741_900_000, "metadata": {"topic": "demo"},
        "items": {"object": "list", "data": [
            {"type": "message", "id": "msg_1", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
            {"type": "message", "id": "msg_2", "role": "assistant",
             "content": [{"type": "output_text", "text": "Hello", "annotations": []}]},
        ]},
    });
    let messages = json!([
        {"role": "user", "content": "What is the weather?"},
        {"role": "assistant", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": "Sunny."},
    ]);
    let place = folder(&[("theirs.json", &openai.to_string()), ("messages.json", &messages.to_string())]);
    let place = place.path();
    assert!(cabotage(place).args(["demo", "--write", "kept"]).output().unwrap().status.success());
    let import = |more: &[&str]| state(place, &[&["import"], more, &OF_EU[..]].concat());
    let theirs = ["theirs.json", "--kind", "openai-conversation"];
    assert_eq!(done(&import(&theirs)), "imported into `state-eu`: 1 new, 0 there already\n");
    assert_eq!(done(&import(&theirs)), "imported into `state-eu`: 0 new, 1 there already\n");
    let list = ["messages.json", "--kind", "messages", "--id", "conv_list"];
    assert_eq!(done(&import(&list)), "imported into `state-eu`: 1 new, 0 there already\n");
    assert_eq!(done(&import(&list)), "imported into `state-eu`: 0 new, 1 there already\n");
    for (more, part) in [
        (&["theirs.json"][..], "line 1: "),
        (&["messages.json", "--kind", "messages", "--id", "a/b"], "is not a conversation's id"),
        (&["messages.json", "--kind", "openai-conversation"], "messages.json cannot be imported"),
        (&["nothing.json"], "nothing.json cannot be read"),
    ] {
        refused(&import(more), part);
    }
    let free = ["import", "theirs.json", "-c", "kept/cabotage.toml", "--workload", "research"];
    refused(&state(place, &free), "--store is one of: state, state-eu");
    let demo = Demo::start(place, &["--state", "kept"]);
    for (conversation, count) in [("conv_theirs", "3 messages"), ("conv_list", "5 messages")] {
        let turn = json!({"model": "gpt-5.4", "conversation": conversation, "input": "go on"});
        let answer = post(&demo, "/v1/responses", &turn);
        let text = answer["output"][0]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(count), "{conversation}: {text}");
    }
    // From standard input.
    drop(demo);
    let all = state(place, &[&["export"], &OF_EU[..]].concat());
    done(&all);
    let mut child = cabotage(place);
    let words =
        ["state", "import", "-", "-c", "kept/cabotage.toml", "--workload", "advice", "--store", "state"];
    let mut child = child.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&all.stdout).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(done(&output), "imported into `state`: 4 new, 0 there already\n");
}

#[test]
fn a_configuration_without_a_store_or_its_key_says_so() {
    let bare = "[[deployment]]\nname = \"a\"\nprovider = \"openai\"\nmodel = \"gpt-5.4\"\napi_key = { env = \"K\" }\n\
                [[workload]]\nname = \"w\"\n[[key]]\nid = \"k\"\nworkload = \"w\"\nsecret = { env = \"S\" }\n";
    let keyed = format!("{bare}[[state.store]]\nname = \"s\"\nmaster_key = {{ env = \"STATE_KEY\" }}\n");
    let place = folder(&[
        ("bare.toml", bare),
        ("keyed.toml", &keyed),
        ("list.json", r#"[{"role":"user","content":"Hi"}]"#),
    ]);
    let import = |config: &str| {
        let words = ["import", "list.json", "--kind", "messages", "--id", "conv_a", "--workload", "w", "-c"];
        state(place.path(), &[&words[..], &[config]].concat())
    };
    refused(&import("bare.toml"), "names no state store");
    refused(&import("keyed.toml"), "set the environment variable STATE_KEY");
}

#[test]
fn explain_shows_where_a_kept_turn_lies() {
    let place = folder(&[]);
    let demo = Demo::start(place.path(), &["--state", "kept"]);
    let words =
        ["explain", "gpt-5.4", "--workload", "support-eu", "--class", "stateful", "--at", "2026-11-21"];
    let text = said(&demo.run(&words));
    assert!(text.contains("The state lies in `state-eu`, which the workload is bound to."), "{text}");
    assert!(text.contains("The inner call may not run at: "), "{text}");
    let json = demo.json(&[&words[..], &["--json"]].concat());
    assert_eq!(json["kept"]["store"], "state-eu");
    assert_eq!(json["kept"]["stores"][0]["bound_elsewhere"], "state-eu");
    // The same without a gateway.
    let config = demo.folder.join("cabotage.toml").display().to_string();
    let offline = demo.json(&[&words[..], &["--json", "-c", &config]].concat());
    assert_eq!(offline["kept"], json["kept"]);
    // A store that the terms refuse is named with the rule.
    let text = std::fs::read_to_string(&config).unwrap();
    let abroad = text.replace("state_jurisdictions = \"de\"", "state_jurisdictions = \"us\"");
    assert_ne!(abroad, text);
    std::fs::write(place.path().join("abroad.toml"), abroad.replace("\"terms\"", "\"kept/terms\"")).unwrap();
    let abroad = demo.json(&[&words[..], &["--json", "-c", "abroad.toml"]].concat());
    assert_eq!(abroad["kept"]["store"], Value::Null, "{}", abroad["kept"]);
    assert!(abroad["kept"]["stores"][1]["rules"][0]["id"].is_string(), "{}", abroad["kept"]);
    // Of a stateless call nothing is kept.
    let stateless = demo.json(&["explain", "gpt-5.4", "--workload", "research", "--json"]);
    assert!(stateless.get("kept").is_none());
}
