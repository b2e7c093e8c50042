//! One item ↔ its wire object.

use crate::openai_responses::{decode_item, encode_item, item_id, reference};
use domain::{
    Bag, Dialect, Item, ItemKind, Message, Origin, Part, Raw, Reasoning, Role, Signature, ToolResult,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(value: &Value) -> Item {
    decode_item(&Raw::from(value)).expect("an item")
}

/// Items in the full form of the API come out as they went in, whatever the kind.
#[test]
fn every_kind_in_its_full_form_comes_out_as_it_went_in() {
    let items = [
        json!({"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "final_answer",
            "content": [{"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "url": "u",
                "title": "t", "start_index": 0, "end_index": 1}], "logprobs": []},
                {"type": "refusal", "refusal": "no"}]}),
        json!({"type": "message", "id": "msg_2", "status": "completed", "role": "user", "content": [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "data:image/jpg;charset=x;base64,AAAA", "detail": "high"},
            {"type": "input_image", "file_id": "file-1", "detail": "auto"},
            {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
            {"type": "input_file", "file_data": "QUJD", "filename": "b.pdf"},
            {"type": "input_file", "file_url": "https://x/y.pdf"},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
            {"type": "input_video", "video_url": "https://x/y.mp4"},
            {"type": "input_hologram", "rays": [1, 2]}]}),
        json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "one"},
            {"type": "summary_text", "text": "two"}], "encrypted_content": "gAAA"}),
        json!({"type": "reasoning", "id": "rs_2", "summary": [],
            "content": [{"type": "reasoning_text", "text": "raw"}], "status": "completed"}),
        json!({"type": "function_call", "id": "fc_1", "status": "completed", "call_id": "call_1", "name": "f",
            "arguments": "{\"a\":", "namespace": "n"}),
        json!({"type": "function_call_output", "id": "fco_1", "status": "completed", "call_id": "call_1", "output": "x"}),
        json!({"type": "function_call_output", "id": "fco_2", "status": "completed", "call_id": "call_1",
            "output": [{"type": "input_text", "text": "x"}]}),
        json!({"type": "custom_tool_call", "id": "ctc_1", "status": "completed", "call_id": "call_2", "name": "sql",
            "input": "select 1"}),
        json!({"type": "custom_tool_call_output", "id": "ctco_1", "status": "completed", "call_id": "call_2",
            "output": "1"}),
        json!({"type": "item_reference", "id": "msg_9"}),
        json!({"type": "compaction", "id": "cmp_1", "encrypted_content": "gBBB"}),
        json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}),
        json!({"type": "file_search_call", "id": "fs_1", "status": "completed", "queries": ["q"], "results": null}),
        json!({"type": "computer_call", "id": "cu_1", "call_id": "c", "status": "completed", "pending_safety_checks": [],
            "action": {"type": "screenshot"}}),
        json!({"type": "code_interpreter_call", "id": "ci_1", "status": "completed", "code": "1", "container_id": "c",
            "outputs": null}),
        json!({"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA"}),
        json!({"type": "local_shell_call", "id": "ls_1", "call_id": "c", "status": "completed",
            "action": {"type": "exec", "command": ["ls"], "env": {}}}),
        json!({"type": "local_shell_call_output", "id": "lso_1", "output": "a"}),
        json!({"type": "shell_call", "id": "sh_1", "call_id": "c", "action": {"commands": ["ls"]}}),
        json!({"type": "apply_patch_call", "id": "ap_1", "call_id": "c", "status": "completed",
            "operation": {"type": "delete_file", "path": "x"}}),
        json!({"type": "mcp_list_tools", "id": "ml_1", "server_label": "s", "tools": []}),
        json!({"type": "mcp_call", "id": "mc_1", "server_label": "s", "name": "n", "arguments": "{}", "error": null}),
        json!({"type": "mcp_approval_request", "id": "ma_1", "server_label": "s", "name": "n", "arguments": "{}"}),
        json!({"type": "mcp_approval_response", "id": "mr_1", "approval_request_id": "ma_1", "approve": true}),
        json!({"type": "a_kind_of_tomorrow", "id": "x_1", "nested": {"deep": [null]}}),
    ];
    for item in &items {
        let read = read(item);
        assert_eq!(encode_item(&read, "made_up").value(), *item);
        assert_eq!(item_id(&read).as_deref(), item["id"].as_str());
        assert_eq!(reference(&read).is_some(), item["type"] == "item_reference");
    }
}

#[test]
fn short_forms_are_written_whole() {
    let cases = [
        (
            json!({"role": "user", "content": "hi"}),
            json!({"type": "message", "id": "new", "status": "completed", "role": "user",
                "content": [{"type": "input_text", "text": "hi"}]}),
        ),
        (
            json!({"role": "assistant", "content": "hi", "id": null, "status": null}),
            json!({"type": "message", "id": "new", "status": "completed", "role": "assistant",
                "content": [{"type": "output_text", "text": "hi", "annotations": [], "logprobs": []}]}),
        ),
        (
            json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}),
            json!({"type": "function_call", "id": "new", "status": "completed", "call_id": "c", "name": "f",
                "arguments": "{}"}),
        ),
        (
            json!({"type": "reasoning", "summary": [], "encrypted_content": null}),
            json!({"type": "reasoning", "id": "new", "summary": []}),
        ),
    ];
    for (short, whole) in cases {
        assert_eq!(encode_item(&read(&short), "new").value(), whole, "{short}");
    }
    assert_eq!(reference(&read(&json!({"id": "msg_1"}))).as_deref(), Some("msg_1"));
}

#[test]
fn what_is_wrong_with_an_item_is_said_with_its_place() {
    for (item, place) in [
        (json!({"type": "message", "role": "user"}), "content"),
        (json!({"type": "message", "content": "x"}), "role"),
        (json!({"type": "message", "role": "captain", "content": "x"}), "role"),
        (json!({"content": "x"}), "type"),
        (json!({"role": "user", "content": [{"type": "input_text"}]}), "content[0].text"),
        (json!({"role": "user", "content": [{"type": "input_image"}]}), "content[0].image_url"),
        (json!({"type": "function_call", "name": "f", "arguments": "{}"}), "call_id"),
        (json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}), "arguments"),
        (json!({"type": "function_call_output", "call_id": "c"}), "output"),
        (json!(["x"]), ""),
    ] {
        let fault = decode_item(&Raw::from(&item)).expect_err("not an item");
        assert_eq!(fault.param.as_deref(), Some(place), "{item}: {fault}");
        assert_eq!(fault.status(), 400);
    }
}

/// What another dialect's host gave is stored whole: its proofs, its notes, its own blocks.
#[test]
fn items_of_other_dialects_are_stored_without_loss() {
    let mut noted = Bag::new();
    noted.put(Dialect::AnthropicMessages, "citations", Raw::parse(r#"[{"cited_text":"x"}]"#).expect("JSON"));
    let mut block = Bag::new();
    block.put(
        Dialect::AnthropicMessages,
        "$block",
        Raw::parse(r#"{"type":"server_tool_use"}"#).expect("JSON"),
    );
    let proof = |data: &str| Some(Signature { dialect: Dialect::AnthropicMessages, data: data.into() });
    let with = |kind, bag: &Bag| Item { kind, origin: Origin::default(), bag: bag.clone() };
    let none = Bag::new();
    let items = [
        with(ItemKind::Message(Message { role: Role::Assistant, parts: vec![Part::text("x", 0)] }), &noted),
        with(
            ItemKind::Reasoning(Reasoning { text: "t".into(), signature: proof("s:1"), redacted: false }),
            &none,
        ),
        with(
            ItemKind::Reasoning(Reasoning { text: String::new(), signature: proof("all"), redacted: true }),
            &none,
        ),
        with(ItemKind::Foreign { what: "server_tool_use".into() }, &block),
        with(
            ItemKind::ToolResult(ToolResult {
                call_id: "c".into(),
                name: None,
                parts: vec![Part::text("broke", 0)],
                is_error: Some(true),
            }),
            &none,
        ),
    ];
    for item in items {
        let stored = encode_item(&item, "id_1");
        assert_eq!(stored.value()["id"], "id_1");
        let again = decode_item(&stored).expect("our own");
        match (&item.kind, &again.kind) {
            (ItemKind::Reasoning(left), ItemKind::Reasoning(right)) => assert_eq!(left, right),
            (ItemKind::Foreign { .. }, _) => assert_eq!(item.bag, again.bag),
            (ItemKind::Message(_), ItemKind::Message(said)) => {
                assert_eq!(item.bag, again.bag);
                assert!(matches!(&said.parts[0].kind, domain::PartKind::Text { text, .. } if text == "x"));
            }
            (ItemKind::ToolResult(left), ItemKind::ToolResult(right)) => {
                assert_eq!(left.is_error, right.is_error);
                assert!(!stored.text().contains("Error: "));
            }
            _ => panic!("another kind: {again:?}"),
        }
    }
}

proptest! {
    #[test]
    fn any_texts_come_back(text in ".*", arguments in ".*", id in "[a-z_0-9]{1,20}") {
        for item in [
            json!({"type": "message", "id": id, "status": "completed", "role": "user",
                "content": [{"type": "input_text", "text": text}]}),
            json!({"type": "function_call", "id": id, "status": "incomplete", "call_id": id, "name": "f",
                "arguments": arguments}),
            json!({"type": "reasoning", "id": id, "summary": [{"type": "summary_text", "text": text}],
                "encrypted_content": format!("cbt1:{arguments}")}),
        ] {
            prop_assert_eq!(encode_item(&read(&item), "unused").value(), item);
        }
    }
}
