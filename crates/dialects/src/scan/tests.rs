//! What the scanner takes and refuses, and that it agrees with a second parser.

use super::*;
use proptest::prelude::*;

fn refused(body: &[u8]) -> Fault {
    check(body, &["stream_options", "tools"]).expect_err("must be refused")
}

#[test]
fn what_json_does_not_allow_is_refused_with_its_place() {
    let cases: [(&[u8], &str); 24] = [
        (b"", "ends where a value"),
        (b"{", "a key in double quotes"),
        (b"{\"a\":}", "a value was expected"),
        (b"{\"a\":1,}", "a key in double quotes"),
        (b"{\"a\" 1}", "a colon"),
        (b"{a:1}", "a key in double quotes"),
        (b"[1 2]", "a comma or the closing bracket"),
        (b"[1,]", "a value was expected"),
        (b"{\"a\":NaN}", "a value was expected"),
        (b"{\"a\":nul}", "a value was expected"),
        (b"{\"a\":01}", "a number that JSON"),
        (b"{\"a\":1.}", "a number that JSON"),
        (b"{\"a\":-}", "a number that JSON"),
        (b"{\"a\":1e}", "a number that JSON"),
        (b"{\"a\":+1}", "a value was expected"),
        (b"{\"a\":\"x\ny\"}", "a control character"),
        (b"{\"a\":\"\\x\"}", "an unknown escape"),
        (b"{\"a\":\"\\ud800\"}", "a lone surrogate"),
        (b"{\"a\":\"\\udc00\\ud800\"}", "a lone surrogate"),
        (b"{\"a\":\"\\ud800\\u0041\"}", "a lone surrogate"),
        (b"{\"a\":\"\\u00g0\"}", "four hexadecimal"),
        (b"{\"a\":1} x", "more text follows"),
        (b"\xef\xbb\xbf{}", "a value was expected"),
        (b"{\"a\":\"\xff\"}", "invalid UTF-8"),
    ];
    for (body, want) in cases {
        let fault = refused(body);
        assert_eq!(fault.code, Code::InvalidJson, "{}", String::from_utf8_lossy(body));
        assert!(fault.message.contains(want), "{}: {}", String::from_utf8_lossy(body), fault.message);
    }
}

#[test]
fn the_place_has_offset_line_column_and_path() {
    let body = "{\n  \"messages\": [{\"role\": \"user\"},\n    {\"contént\": [{\"text\": bad}]}]\n}";
    let fault = refused(body.as_bytes());
    assert_eq!(
        fault.message,
        "The request body is not acceptable JSON: a value was expected in `messages[1].contént[0].text` (at byte 62, line 3, column 27)."
    );
    assert_eq!(fault.param.as_deref(), Some("messages[1].contént[0].text"));
}

#[test]
fn duplicate_keys_are_refused_where_policy_reads() {
    for body in [
        r#"{"model":"a","model":"b"}"#,
        r#"{"model":"a","mod\u0065l":"b"}"#,
        r#"{"mod\u0065l":"a","model":"b"}"#,
        r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#,
        r#"{"tools":[{"type":"function","type":"x"}]}"#,
    ] {
        assert!(refused(body.as_bytes()).message.contains("a duplicate key"), "{body}");
    }
    assert_eq!(check(br#"{"model":"a","Model":"b","metadata":{"a":1,"a":2}}"#, &[]), Ok(()));
    let many: String = (0..1_000).map(|i| format!("\"k{i}\":1,")).collect();
    assert_eq!(check(format!("{{{many}\"z\":1}}").as_bytes(), &[]), Ok(()));
    assert!(refused(format!("{{{many}\"k700\":1}}").as_bytes()).message.contains("duplicate"));
}

#[test]
fn depth_nodes_and_numbers_are_bounded() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(check(deep(128).as_bytes(), &[]), Ok(()));
    assert!(refused(deep(129).as_bytes()).message.contains("deeper than 128"));
    assert!(refused("[".repeat(1_000_000).as_bytes()).message.contains("deeper than 128"));
    let mixed = format!("{}1{}", "{\"a\":[".repeat(64), "]}".repeat(64));
    assert_eq!(check(mixed.as_bytes(), &[]), Ok(()));
    let wide = format!("[{}1]", "1,".repeat(150_000));
    assert!(refused(wide.as_bytes()).message.contains("values per MiB"));
    assert!(refused(format!("[{}]", "1".repeat(65)).as_bytes()).message.contains("64 characters"));
}

#[test]
fn ranges_are_those_of_the_values() {
    let body = br#" { "a" : [1, {"b": "c\"d"}] , "n": -1.5e3, "t":true }"#;
    let mut cursor = Cursor::new(body).expect("UTF-8");
    let mut seen = Vec::new();
    cursor
        .object(|cursor, key| {
            let value = cursor.skip()?;
            seen.push((key.name.to_string(), cursor.text(&value).to_owned()));
            Ok(())
        })
        .expect("an object");
    cursor.finish().expect("nothing follows");
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(seen, vec![pair("a", r#"[1, {"b": "c\"d"}]"#), pair("n", "-1.5e3"), pair("t", "true")]);
}

#[test]
fn a_word_of_bytes_tells_its_first_special_byte() {
    let first = |found: u64| (found != 0).then(|| found.trailing_zeros() as usize / 8);
    for byte in 0..=u8::MAX {
        for next in 0..=u8::MAX {
            for at in 0..7 {
                let mut text = *b"aaaaaaaa";
                (text[at], text[at + 1]) = (byte, next);
                let want = text.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20));
                assert_eq!(first(special_of(u64::from_le_bytes(text))), want, "{text:?}");
            }
        }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f32>().prop_map(|f| f64::from(f).into()),
        ".{0,80}".prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".{0,40}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn all_that_a_writer_writes_is_taken(value in json(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        prop_assert_eq!(check(text.expect("JSON").as_bytes(), &[]), Ok(()));
    }

    #[test]
    fn what_serde_json_refuses_is_refused(value in json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = serde_json::to_vec(&value).expect("JSON");
        if !text.is_empty() {
            let at = at.index(text.len());
            text[at] = byte;
        }
        let theirs = serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok();
        let strict = serde_json::from_slice::<serde_json::Value>(&text).is_ok();
        let ours = check(&text, &[]).is_ok();
        prop_assert!(!ours || theirs, "taken, but not JSON: {}", String::from_utf8_lossy(&text));
        prop_assert!(!strict || ours || has_duplicate_or_long_number(&text), "refused, but JSON: {}", String::from_utf8_lossy(&text));
    }
}

fn has_duplicate_or_long_number(text: &[u8]) -> bool {
    check(text, &[])
        .is_err_and(|fault| fault.message.contains("duplicate") || fault.message.contains("64 char"))
}
