//! Every number of the list of pitfalls is tested here, tested elsewhere, or out of scope for a stated reason.

use std::{collections::BTreeSet, path::Path};

/// The last number of the list.
const LAST: u32 = 113;

/// The sources whose tests begin with the number of their pitfall.
const SOURCES: [&str; 5] = [
    include_str!("requests.rs"),
    include_str!("schemas.rs"),
    include_str!("responses.rs"),
    include_str!("streams.rs"),
    include_str!("errors.rs"),
];

/// What is not a codec's duty, or not its alone: number, what is left to whom, file or folder under `crates/`, test.
const ELSEWHERE: [(u32, &str, &str, &str); 21] = [
    (67, "a Responses caller", RESPONSES, "p67_a_limit_on_bedrock_is_an_incomplete_response"),
    (71, "a Responses host", RESPONSES, "p71_several_messages_are_one_choice_of_chat"),
    (72, "a Responses caller", RESPONSES, "p72_proofs_come_back_byte_identical_to_their_own_provider_only"),
    (76, "a Responses caller", RESPONSES, "p76_a_thought_of_a_chat_host_is_a_reasoning_item"),
    (
        91,
        "a Responses caller",
        "dialects/src/openai_responses/tests/streams.rs",
        "p91_a_stream_of_another_dialect_has_the_events_of_this_one",
    ),
    (
        98,
        "a Responses host",
        RESPONSES,
        "p98_failed_and_incomplete_inside_a_stream_reach_an_anthropic_caller",
    ),
    (94, "the engine refuses a compressed body", "server/tests/it", "bytes_that_are_no_http_are_bad_answers"),
    (
        96,
        "the engine answers with the first frame's status",
        "server/tests/it",
        "one_candidate_each_fault_has_its_answer",
    ),
    (
        97,
        "the engine books what was seen",
        "server/tests/it",
        "a_stream_that_breaks_after_content_is_an_error_in_the_stream",
    ),
    (
        100,
        "the engine answers with the upstream's class",
        "server/tests/it",
        "one_candidate_each_fault_has_its_answer",
    ),
    (102, "the engine cancels", "server/tests/it", "leaving_cancels_upstream_within_250_ms_also_in_silence"),
    (103, "the providers read the wait", "providers/src/retry_after.rs", "every_form_in_which_hosts_say_it"),
    (103, "the server tells it", "server/tests/it", "a_limit_everywhere_tells_the_shortest_wait"),
    (104, "the providers make the fault of the kind", "providers/src/anthropic/tests.rs", "faults"),
    (106, "the providers make the fault of the kind", "providers/src/azure/tests.rs", "faults"),
    (108, "the providers make the fault of the status", "providers/src/openai/tests.rs", "faults"),
    (
        109,
        "the engine refuses a compressed body",
        "server/tests/it",
        "bytes_that_are_no_http_are_bad_answers",
    ),
    (110, "the server writes the id", "server/tests/it", "one_candidate_each_fault_has_its_answer"),
    (
        111,
        "the providers write and sign the path",
        "providers/tests/it/main.rs",
        "converse_is_signed_as_botocore_signs_it",
    ),
    (111, "the providers write the path", "providers/src/bedrock/tests.rs", "requests"),
    (112, "the providers write host and path", "providers/src/vertex/tests.rs", "requests"),
];

const INBOUND_ANTHROPIC: &str = "the call comes in as anthropic-messages, a later issue's inbound dialect";
/// Where the pitfalls of callers and hosts that speak openai-responses are tested.
const RESPONSES: &str = "dialects/src/openai_responses/tests/pitfalls.rs";

/// What cannot befall a call that came in as openai-chat.
const OUT_OF_SCOPE: [(u32, &str); 14] = [
    (28, INBOUND_ANTHROPIC),
    (29, INBOUND_ANTHROPIC),
    (30, INBOUND_ANTHROPIC),
    (31, INBOUND_ANTHROPIC),
    (32, INBOUND_ANTHROPIC),
    (38, INBOUND_ANTHROPIC),
    (41, INBOUND_ANTHROPIC),
    (53, INBOUND_ANTHROPIC),
    (62, INBOUND_ANTHROPIC),
    (63, INBOUND_ANTHROPIC),
    (65, INBOUND_ANTHROPIC),
    (79, INBOUND_ANTHROPIC),
    (87, INBOUND_ANTHROPIC),
    (90, INBOUND_ANTHROPIC),
];

/// Numbers whose test stands in this folder.
fn tested_here() -> BTreeSet<u32> {
    let lines = SOURCES.iter().flat_map(|source| source.lines());
    lines
        .filter_map(|line| line.strip_prefix("fn p"))
        .filter_map(|rest| rest.split_once('_'))
        .filter_map(|(number, _)| number.parse().ok())
        .collect()
}

#[test]
fn every_pitfall_is_tested_or_has_a_reason() {
    let here = tested_here();
    let out: BTreeSet<u32> = OUT_OF_SCOPE.iter().map(|(number, _)| *number).collect();
    let elsewhere: BTreeSet<u32> = ELSEWHERE.iter().map(|(number, ..)| *number).collect();
    for number in 1..=LAST {
        let tested = here.contains(&number) || elsewhere.contains(&number);
        assert_ne!(tested, out.contains(&number), "P{number:02} needs a test or a reason, and not both");
    }
    eprintln!("{} tested here, {} (also) elsewhere, {} out of scope", here.len(), elsewhere.len(), out.len());
}

#[test]
fn tests_that_are_named_elsewhere_exist() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (number, what, file, test) in ELSEWHERE {
        let source = source_of(&crates.join(file));
        assert!(source.contains(&format!("fn {test}()")), "P{number}, {what}: no test {test} in {file}");
    }
}

/// The text of a file, or of all files of a folder.
fn source_of(path: &Path) -> String {
    let Ok(files) = std::fs::read_dir(path) else {
        return std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    };
    files.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
}

#[test]
fn cases_snapshots_and_tests_are_the_same_numbers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/pitfalls");
    let numbers = |name: &str| -> BTreeSet<u32> {
        let files = std::fs::read_dir(folder.join(name)).expect(name).flatten();
        let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        names
            .filter(|name| !name.ends_with(".new"))
            .map(|name| {
                let number = name.strip_prefix('P').and_then(|rest| rest.split('.').next()?.parse().ok());
                number.unwrap_or_else(|| panic!("{name} is not named by a number"))
            })
            .collect()
    };
    assert_eq!(numbers("cases"), tested_here());
    assert_eq!(numbers("snapshots"), tested_here());
}
