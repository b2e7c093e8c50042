use super::*;
use domain::{
    Item, Media, Message, ModelName, Origin, Part, Role, ToolResult,
    atom::{self, Voice},
};

fn call(dialect: Dialect) -> Call {
    let mut call = Call::new(dialect, ModelName::new("gpt-5.4"));
    call.options.store = (dialect == Dialect::OpenAiResponses).then_some(false);
    call.items.push(said(Role::User, vec![Part::text("hello", 0)]));
    call
}

fn said(role: Role, parts: Vec<Part>) -> Item {
    Item::new(ItemKind::Message(Message { role, parts }), Origin::default())
}

fn with_member(dialect: Dialect, member: &str, value: &str) -> Call {
    let mut call = call(dialect);
    call.bag.put(dialect, member, Raw::parse(value).unwrap());
    call
}

#[test]
fn a_call_without_signs_is_stateless_in_every_dialect() {
    for dialect in Dialect::ALL {
        assert_eq!(classify(&call(dialect)), Classification::default(), "{dialect}");
        for (member, _) in MEMBERS {
            for nothing in ["null", "false", "\"\""] {
                let found = classify(&with_member(dialect, member, nothing));
                assert_eq!(found, Classification::default(), "{dialect} {member} {nothing}");
            }
        }
    }
}

#[test]
fn each_member_is_a_sign_in_every_dialect() {
    for dialect in Dialect::ALL {
        for (member, sign) in MEMBERS {
            let found = classify(&with_member(dialect, member, "\"x\""));
            assert_eq!(found, Classification::of([sign]), "{dialect} {member}");
            let [evidence] = found.evidence(dialect)[..] else { panic!("one sign") };
            assert_eq!((evidence.sign, evidence.keeper), (sign, Keeper::Provider));
            assert!(!evidence.place.is_empty());
        }
        let mut stored = call(dialect);
        stored.options.store = Some(true);
        assert_eq!(classify(&stored), Classification::of([Sign::Store]), "{dialect}");
    }
}

#[test]
fn responses_are_kept_unless_the_caller_says_no() {
    let mut call = call(Dialect::OpenAiResponses);
    call.options.store = None;
    assert_eq!(classify(&call), Classification::of([Sign::Store]));
    call.dialect = Dialect::OpenAiChat;
    assert_eq!(classify(&call), Classification::default());
}

#[test]
fn what_a_provider_holds_is_seen_in_parts_results_blocks_and_tools() {
    let held = |source| {
        let media = Media { source, mime: None, name: None };
        Part::new(PartKind::Document(media), 0)
    };
    for dialect in Dialect::ALL {
        let mut in_message = call(dialect);
        in_message.items.push(said(Role::User, vec![held(MediaSource::FileId("file-1".into()))]));
        assert_eq!(classify(&in_message), Classification::of([Sign::FileId]), "{dialect}");
        let mut in_result = call(dialect);
        let result = ToolResult {
            call_id: "c".into(),
            name: None,
            parts: vec![held(MediaSource::FileId("file-1".into()))],
            is_error: None,
        };
        in_result.items.push(Item::new(ItemKind::ToolResult(result), Origin::default()));
        assert_eq!(classify(&in_result).class, CallClass::Hybrid, "{dialect}");
        for (what, sign) in [("item_reference", Sign::ItemReference), ("container_upload", Sign::FileId)] {
            let mut block = call(dialect);
            block.items.push(Item::new(ItemKind::Foreign { what: what.into() }, Origin::default()));
            assert_eq!(classify(&block), Classification::of([sign]), "{dialect}");
        }
        for (json, sign) in [
            (r#"{"type":"file_search","vector_store_ids":["vs_1"]}"#, Some(Sign::VectorStore)),
            (r#"{"type":"code_interpreter","container":"cntr_1"}"#, Some(Sign::Container)),
            (r#"{"type":"code_interpreter","container":{"type":"auto"}}"#, None),
            (r#"{"type":"file_search","vector_store_ids":[]}"#, None),
        ] {
            let mut tools = call(dialect);
            let mut bag = domain::Bag::new();
            bag.put(dialect, "$tool", Raw::parse(json).unwrap());
            tools.tools.push(Tool {
                name: "t".into(),
                description: None,
                parameters: None,
                strict: None,
                kind: ToolKind::Server,
                bag,
            });
            assert_eq!(classify(&tools), Classification::of(sign), "{dialect} {json}");
        }
    }
    let mut uploaded = call(Dialect::Gemini);
    let address = "https://generativelanguage.googleapis.com/v1beta/files/abc";
    uploaded.items.push(said(Role::User, vec![held(MediaSource::Url(address.into()))]));
    assert_eq!(classify(&uploaded), Classification::of([Sign::FileId]));
    uploaded.items.push(said(Role::User, vec![held(MediaSource::Url("https://example.com/files/a".into()))]));
    assert_eq!(classify(&uploaded).signs.iter().count(), 1, "anybody's URL is no sign");
}

#[test]
fn history_is_the_clients_and_makes_no_class() {
    let mut call = call(Dialect::AnthropicMessages);
    call.items.push(said(Role::Assistant, vec![Part::text("hi", 0)]));
    call.options.end_user = Some("user_1_account__session_2f".into());
    let found = classify(&call);
    assert_eq!(found, Classification::of([Sign::History, Sign::AgentSession]));
    assert_eq!((found.class, found.signs.keeper()), (CallClass::Stateless, Keeper::Client));
}

#[test]
fn a_client_cannot_talk_itself_out_of_a_rule_about_stateless_calls() {
    use CallClass::{Hybrid, Stateful, Stateless};
    let chat = Dialect::OpenAiChat;
    let judged = |signs: &[Sign], dialect, operators| {
        let judged = Classification::of(signs.iter().copied()).judged(dialect, operators);
        (judged.first, judged.also)
    };
    // Nothing, or only what the client says of itself.
    assert_eq!(judged(&[], chat, None), (Stateless, None));
    assert_eq!(judged(&[Sign::AgentSession, Sign::History, Sign::Continues], chat, None), (Stateless, None));
    // A flag or a file's id does not stop the call from being self-contained.
    assert_eq!(judged(&[Sign::Store], chat, None), (Stateful, Some(Stateless)));
    assert_eq!(judged(&[Sign::FileId], chat, None), (Hybrid, Some(Stateless)));
    // Nor does a member that this API does not have: most hosts ignore it.
    assert_eq!(judged(&[Sign::PreviousResponse], chat, None), (Stateful, Some(Stateless)));
    // Where the API has it, the host refuses an id that it does not know.
    assert_eq!(judged(&[Sign::PreviousResponse], Dialect::OpenAiResponses, None), (Stateful, None));
    assert_eq!(judged(&[Sign::Store, Sign::Conversation], Dialect::OpenAiResponses, None), (Stateful, None));
    // The operator's word takes the place of `stateless`, and of nothing else.
    assert_eq!(judged(&[], chat, Some(Stateful)), (Stateful, None));
    assert_eq!(judged(&[Sign::Store], chat, Some(Stateful)), (Stateful, None));
    assert_eq!(judged(&[Sign::Store], chat, Some(Hybrid)), (Stateful, Some(Hybrid)));
    assert_eq!(judged(&[Sign::FileId], chat, Some(Stateful)), (Hybrid, Some(Stateful)));
    assert_eq!(judged(&[Sign::FileId], chat, Some(Stateless)), (Hybrid, Some(Stateless)));
    assert_eq!(
        judged(&[Sign::PreviousResponse], Dialect::OpenAiResponses, Some(Stateless)),
        (Stateful, None)
    );
    assert_eq!(
        judged(&[Sign::PreviousResponse], Dialect::OpenAiResponses, Some(Hybrid)),
        (Stateful, Some(Hybrid))
    );
}

// === conversations ===

const SEED: [u8; 32] = [9; 32];

/// A talk: what is said, in turns of user and model.
fn talk<'k>(key: &'k ChainKey, tenant: &str, words: &[&str]) -> Chain<'k> {
    let mut chain = Chain::new(key, tenant);
    atom::text(&mut chain, Voice::Instructions, "be brief");
    for (index, word) in words.iter().enumerate() {
        atom::text(&mut chain, if index % 2 == 0 { Voice::User } else { Voice::Model }, word);
    }
    chain.end()
}

struct World {
    key: ChainKey,
    table: Conversations,
}

impl World {
    fn new() -> Self {
        Self { key: ChainKey::derive(&SEED), table: Conversations::default() }
    }

    fn say(&self, tenant: &str, words: &[&str]) -> Found {
        self.at(0, tenant, words)
    }

    fn at(&self, now_s: u32, tenant: &str, words: &[&str]) -> Found {
        self.table.place(&talk(&self.key, tenant, words), now_s).unwrap()
    }
}

#[test]
fn a_growing_talk_is_one_conversation() {
    let world = World::new();
    let words = ["u1", "a1", "u2", "a2", "u3", "a3", "u4", "a4", "u5"];
    let turns: Vec<Found> = (1..=5).map(|turn| world.say("t", &words[..2 * turn - 1])).collect();
    let numbers: Vec<u32> = turns.iter().map(|found| found.turn.turn).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert!(turns.iter().all(|found| found.turn.conversation == turns[0].turn.conversation));
    let links: Vec<Link> = turns.iter().map(|found| found.link).collect();
    assert_eq!(links, [Link::First, Link::Second, Link::Further, Link::Further, Link::Further]);
    assert_eq!(turns[1].certainty, Certainty::Likely);
}

#[test]
fn a_call_sent_twice_is_the_same_turn_twice() {
    let world = World::new();
    let first = world.say("t", &["u1"]);
    let second = world.say("t", &["u1", "a1", "u2"]);
    let again = world.say("t", &["u1", "a1", "u2"]);
    let other_words = world.say("t", &["u1", "a1", "u2, said otherwise"]);
    assert_eq!(second.turn.conversation, first.turn.conversation);
    for repeated in [again, other_words] {
        assert_eq!(repeated.turn, second.turn);
        assert_eq!(
            (repeated.link, repeated.certainty),
            (Link::Further, Certainty::Certain),
            "no new conversation"
        );
    }
}

#[test]
fn a_thousand_openings_alike_are_a_thousand_conversations() {
    let world = World::new();
    let mut opened: Vec<ConversationRef> =
        (0..1_000).map(|_| world.say("t", &["hello"]).turn.conversation).collect();
    let answers: Vec<String> = (0..1_000).map(|n| format!("answer {n}")).collect();
    let mut continued = Vec::new();
    for answer in &answers {
        let found = world.say("t", &["hello", answer, "and then?"]);
        assert_eq!((found.link, found.turn.turn), (Link::Second, 2));
        assert_eq!(found.certainty, Certainty::Possible, "whose opening it was cannot be seen");
        continued.push(found.turn.conversation);
    }
    opened.sort_unstable();
    continued.sort_unstable();
    assert_eq!(opened, continued);
    opened.dedup();
    assert_eq!(opened.len(), 1_000);
}

#[test]
fn an_edited_history_does_not_link() {
    let world = World::new();
    let before = [
        world.say("t", &["u1"]),
        world.say("t", &["u1", "a1", "u2"]),
        world.say("t", &["u1", "a1", "u2", "a2", "u3"]),
    ];
    let known = before[0].turn.conversation;
    let question = world.say("t", &["u1 edited", "a1", "u2", "a2", "u3", "a3", "u4"]);
    assert_eq!((question.link, question.turn.turn), (Link::First, 1));
    assert_ne!(question.turn.conversation, known);
    let answer = world.say("t", &["u1", "a1 edited", "u2", "a2", "u3", "a3", "u4"]);
    assert_ne!(answer.turn.conversation, known, "another answer is another talk");
    assert_eq!(
        world.say("t", &["u1", "a1", "u2", "a2", "u3", "a3", "u4"]).turn,
        Turn { conversation: known, turn: 4 }
    );
}

#[test]
fn examples_in_a_prompt_are_no_conversation() {
    let world = World::new();
    for question in ["one", "two", "three"] {
        let found = world.say("t", &["example", "its answer", question]);
        assert_eq!((found.link, found.history), (Link::First, true), "{question}");
    }
}

#[test]
fn tenants_never_link() {
    let world = World::new();
    let words = ["u1", "a1", "u2", "a2", "u3"];
    let mut refs = std::collections::BTreeSet::new();
    for tenant in ["a", "b", "ab", ""] {
        let found = world.say(tenant, &words[..1]);
        assert_eq!((found.link, found.turn.turn), (Link::First, 1), "{tenant:?}");
        refs.insert(found.turn.conversation);
    }
    assert_eq!(refs.len(), 4);
    let hashes = |tenant| talk(&world.key, tenant, &words).hashes();
    assert!(hashes("a").iter().all(|hash| !hashes("b").contains(hash)));
    let other_process = ChainKey::derive(&[8; 32]);
    assert_ne!(talk(&other_process, "a", &words).hashes(), hashes("a"), "the key is secret");
}

#[test]
fn entries_die_an_hour_after_their_last_use() {
    let world = World::new();
    let first = world.at(0, "t", &["u1"]);
    let second = world.at(TTL_S, "t", &["u1", "a1", "u2"]);
    assert_eq!(second.turn.conversation, first.turn.conversation, "still there at its last second");
    let third = world.at(3 * TTL_S, "t", &["u1", "a1", "u2", "a2", "u3"]);
    assert_eq!((third.link, third.turn.turn), (Link::First, 1), "forgotten");
}

#[test]
fn the_table_has_its_bound_whatever_comes() {
    let world = World::new();
    for number in 0..(ENTRIES_MAX * 2) {
        let word = format!("opening {number}");
        let mut chain = Chain::new(&world.key, "t");
        atom::text(&mut chain, Voice::User, &word);
        world.table.place(&chain.end(), (number / 1_000) as u32);
    }
    assert!(world.table.len() > ENTRIES_MAX / 2 && world.table.len() <= ENTRIES_MAX);
    assert!(world.table.bytes() <= 48 * ENTRIES_MAX, "{} bytes", world.table.bytes());
    // What was used last is still known.
    let newest = format!("opening {}", ENTRIES_MAX * 2 - 1);
    let mut chain = Chain::new(&world.key, "t");
    for (voice, word) in [(Voice::User, newest.as_str()), (Voice::Model, "answer"), (Voice::User, "next")] {
        atom::text(&mut chain, voice, word);
    }
    assert_eq!(world.table.place(&chain.end(), 140).unwrap().link, Link::Second);
}

#[test]
fn a_call_without_words_has_no_place() {
    let world = World::new();
    assert_eq!(world.table.place(&Chain::new(&world.key, "t").end(), 0), None);
    assert!(world.table.is_empty());
}

#[test]
fn only_the_newest_runs_are_kept() {
    let world = World::new();
    let words: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(talk(&world.key, "t", &words).hashes().len(), RUNS_MAX);
    world.say("t", &words[..199]);
    let mut longer = words.clone();
    longer.extend(["next"]);
    assert_eq!(world.say("t", &longer[..201]).link, Link::Second);
}

// === profiles ===

fn classed_as(signs: &[Sign], link: Link, turn: u32, agent: Option<Agent>) -> Classed {
    let found = Found {
        link,
        turn: Turn { conversation: ConversationRef(1), turn },
        certainty: Certainty::Likely,
        history: turn > 1,
    };
    classed(Classification::of(signs.iter().copied()), Dialect::OpenAiChat, agent, Some(found))
}

#[test]
fn a_workload_of_talks_is_really_stateful() {
    let profile = Profile::default();
    for _ in 0..50 {
        profile.note(&classed_as(&[], Link::First, 1, Some(Agent::ClaudeCode)), 1_000_000);
        profile.note(&classed_as(&[], Link::Second, 2, Some(Agent::ClaudeCode)), 2_000_000);
        profile.note(&classed_as(&[], Link::Further, 3, None), 3_000_000);
    }
    for _ in 0..50 {
        profile.note(&classed_as(&[], Link::First, 1, None), 4_000_000);
    }
    let report = ProfileReport::of(&profile.counts(), None);
    assert_eq!((report.calls, report.conversations, report.continued), (200, 50, 100));
    assert_eq!(
        (report.verdict, report.certainty, report.lives),
        (Verdict::ReallyStateful, Certainty::Certain, Keeper::Client)
    );
    assert_eq!(
        report.says,
        "really stateful: 75 % of calls belong to a conversation; state lives in the client"
    );
    assert_eq!((report.turns_mean_hundredths, report.turns_max), (300, 3));
    assert_eq!(report.agents, [AgentCount { agent: Agent::ClaudeCode, calls: 100 }]);
    assert_eq!(report.first_seen.as_deref(), Some("1970-01-01T00:00:01Z"));
}

#[test]
fn verdicts_follow_the_counts() {
    let report = |calls: &[(u64, &Classed)]| {
        let profile = Profile::default();
        for (times, call) in calls {
            (0..*times).for_each(|_| profile.note(call, 1));
        }
        ProfileReport::of(&profile.counts(), None)
    };
    let alone = classed_as(&[], Link::First, 1, None);
    let kept = classed_as(&[Sign::Store], Link::First, 1, None);
    assert_eq!(report(&[]).verdict, Verdict::Unknown);
    assert_eq!(report(&[(10, &alone)]).verdict, Verdict::Stateless);
    assert_eq!(report(&[(10, &alone)]).certainty, Certainty::Possible);
    let stateful = report(&[(5, &alone), (15, &kept)]);
    assert_eq!(
        (stateful.verdict, stateful.lives, stateful.certainty),
        (Verdict::Stateful, Keeper::Provider, Certainty::Likely)
    );
    assert_eq!(report(&[(80, &alone), (20, &kept)]).verdict, Verdict::Mixed);
}
