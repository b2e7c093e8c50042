//! What every state store must do, written once. `domain`'s own tests run it on the twin in memory, a store's
//! tests on the store: `state_suite::all(make)` with a maker of empty stores.

use domain::{
    ConversationId, ItemId, ResponseId, SubjectId, TenantId,
    state::{
        Base, Context, ContextOf, ConversationRecord, Erase, Kept, Leased, NewItem, Order, Owner, Page,
        RecordedEvent, ResponseRecord, StateError, StateStore, Status, Turn,
    },
};
use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Poll, Wake, Waker},
    thread::Thread,
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for an answer without any runtime.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name)
}

pub(crate) fn owner(tenant: &str, subject: Option<&str>) -> Owner {
    Owner { tenant: TenantId::new(tenant), subject: subject.map(SubjectId::new) }
}

pub(crate) fn item(id: &str) -> NewItem {
    NewItem { id: ItemId::new(id), body: format!(r#"{{"says":"{id}"}}"#).into(), opens_context: false }
}

pub(crate) fn response(id: &str, status: Status) -> ResponseRecord {
    ResponseRecord {
        id: ResponseId::new(id),
        status,
        body: format!(r#"{{"id":"{id}","status":"{}"}}"#, status.name()).into(),
        conversation: None,
        created_us: 1_000,
        expires_us: None,
        runner_until_us: 0,
    }
}

pub(crate) fn turn(id: &str, base: Base, input: &[&str], output: &[&str]) -> Turn {
    let conversation = base.conversation().cloned();
    Turn {
        owner: owner("acme", None),
        base,
        response: ResponseRecord { conversation, ..response(id, Status::Completed) },
        input: input.iter().map(|id| item(id)).collect(),
        output: output.iter().map(|id| item(id)).collect(),
    }
}

pub(crate) fn after(id: &str) -> Base {
    Base::After(ResponseId::new(id))
}

fn conversation(id: &str) -> ConversationRecord {
    ConversationRecord {
        id: ConversationId::new(id),
        body: r#"{"metadata":{}}"#.into(),
        created_us: 5,
        expires_us: None,
    }
}

fn ids(context: &Context) -> Vec<&str> {
    context.items.iter().map(|item| item.id.as_str()).collect()
}

fn context(store: &dyn StateStore, id: &str) -> Context {
    wait(store.context(&tenant("acme"), ContextOf::Response(ResponseId::new(id)))).unwrap().unwrap()
}

fn said(store: &dyn StateStore, id: &str) -> Vec<String> {
    let found = wait(store.context(&tenant("acme"), ContextOf::Conversation(ConversationId::new(id))));
    found.unwrap().unwrap().items.into_iter().map(|item| item.id.to_string()).collect()
}

/// Runs everything, each on a store of its own.
pub(crate) fn all<S: StateStore>(make: impl Fn() -> S) {
    let checks: [fn(&dyn StateStore); 14] = [
        a_chain_of_turns_is_read_as_one_context,
        a_turn_on_an_older_response_gets_its_own_thread,
        an_end_counts_once,
        what_cannot_be_followed_says_so,
        other_tenants_see_nothing,
        a_deleted_response_leaves_what_others_need,
        conversations_live_their_life,
        lists_are_paged_both_ways,
        leases_fence_who_lost_them,
        a_context_opens_where_it_was_compacted,
        forks_are_copies,
        events_are_recorded_in_order,
        runners_that_fell_silent_are_found,
        dates_and_subjects_end,
    ];
    for check in checks {
        check(&make());
    }
}

fn a_chain_of_turns_is_read_as_one_context(store: &dyn StateStore) {
    assert_eq!(wait(store.commit(turn("r1", Base::Fresh, &["i1"], &["o1", "o2"]))), Ok(Kept::Now));
    assert_eq!(wait(store.commit(turn("r2", after("r1"), &["i2"], &["o3"]))), Ok(Kept::Now));
    let found = context(store, "r2");
    assert_eq!(ids(&found), ["i1", "o1", "o2", "i2", "o3"]);
    assert_eq!(&*found.items[0].body, r#"{"says":"i1"}"#);
    assert_eq!(ids(&context(store, "r1")), ["i1", "o1", "o2"]);
    let record = wait(store.response(&tenant("acme"), &ResponseId::new("r2"))).unwrap().unwrap();
    assert_eq!(record, response("r2", Status::Completed));
    let stored = wait(store.turn(&tenant("acme"), &ResponseId::new("r2"))).unwrap().unwrap();
    assert_eq!(stored.previous, Some(ResponseId::new("r1")));
    assert_eq!((stored.input.len(), stored.output.len()), (1, 1));
    assert_eq!((stored.input[0].id.as_str(), stored.output[0].id.as_str()), ("i2", "o3"));
    let listed = wait(store.responses(&tenant("acme"), None, 1)).unwrap();
    assert_eq!(listed[0].id.as_str(), "r1");
    let listed = wait(store.responses(&tenant("acme"), Some(ResponseId::new("r1")), 9)).unwrap();
    assert_eq!(listed.len(), 1);
}

fn a_turn_on_an_older_response_gets_its_own_thread(store: &dyn StateStore) {
    wait(store.commit(turn("r1", Base::Fresh, &["i1"], &["o1"]))).unwrap();
    wait(store.commit(turn("r2", after("r1"), &["i2"], &["o2"]))).unwrap();
    wait(store.commit(turn("r2b", after("r1"), &["i2b"], &["o2b"]))).unwrap();
    wait(store.commit(turn("r3b", after("r2b"), &["i3b"], &["o3b"]))).unwrap();
    wait(store.commit(turn("r3", after("r2"), &["i3"], &["o3"]))).unwrap();
    assert_eq!(ids(&context(store, "r3")), ["i1", "o1", "i2", "o2", "i3", "o3"]);
    assert_eq!(ids(&context(store, "r3b")), ["i1", "o1", "i2b", "o2b", "i3b", "o3b"]);
}

fn an_end_counts_once(store: &dyn StateStore) {
    let mut begun = turn("r1", Base::Fresh, &["i1"], &[]);
    begun.response = response("r1", Status::InProgress);
    assert_eq!(wait(store.commit(begun.clone())), Ok(Kept::Now));
    assert_eq!(wait(store.commit(begun)), Ok(Kept::Before(Status::InProgress)));
    let page = Page::first(Order::Ascending, 10);
    let input = wait(store.input_items(&tenant("acme"), &ResponseId::new("r1"), page.clone())).unwrap();
    assert_eq!(input.items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), ["i1"]);
    let ended = turn("r1", Base::Fresh, &["i1"], &["o1"]);
    assert_eq!(wait(store.commit(ended.clone())), Ok(Kept::Now));
    assert_eq!(wait(store.commit(ended)), Ok(Kept::Before(Status::Completed)));
    let mut late = turn("r1", Base::Fresh, &["i1"], &["other"]);
    late.response.status = Status::Cancelled;
    assert_eq!(wait(store.commit(late)), Ok(Kept::Before(Status::Completed)));
    assert_eq!(ids(&context(store, "r1")), ["i1", "o1"]);
    let input = wait(store.input_items(&tenant("acme"), &ResponseId::new("r1"), page)).unwrap();
    assert_eq!(input.items.len(), 1);
}

fn what_cannot_be_followed_says_so(store: &dyn StateStore) {
    assert_eq!(wait(store.commit(turn("x", after("nobody"), &["i"], &[]))), Err(StateError::Missing));
    assert_eq!(wait(store.response(&tenant("acme"), &ResponseId::new("x"))), Ok(None), "nothing is left");
    let mut running = turn("r1", Base::Fresh, &["i1"], &[]);
    running.response.status = Status::Queued;
    wait(store.commit(running)).unwrap();
    assert_eq!(wait(store.commit(turn("x", after("r1"), &["i"], &[]))), Err(StateError::Running));
    let mut failed = turn("r1", Base::Fresh, &["i1"], &[]);
    failed.response.status = Status::Failed;
    wait(store.commit(failed)).unwrap();
    assert_eq!(wait(store.commit(turn("x", after("r1"), &["i"], &[]))), Err(StateError::NoAnswer));
    let mut begins = turn("y", after("r1"), &["i"], &[]);
    begins.response.status = Status::InProgress;
    assert_eq!(wait(store.commit(begins)), Err(StateError::NoAnswer), "a beginning is checked too");
    assert_eq!(context(store, "r1").status, Status::Failed);
}

fn other_tenants_see_nothing(store: &dyn StateStore) {
    wait(store.commit(turn("r1", Base::Fresh, &["i1"], &["o1"]))).unwrap();
    wait(store.create_conversation(owner("acme", None), conversation("c1"), vec![item("m1")])).unwrap();
    let (other, r1, c1) = (tenant("other"), ResponseId::new("r1"), ConversationId::new("c1"));
    assert_eq!(wait(store.response(&other, &r1)), Ok(None));
    assert_eq!(wait(store.turn(&other, &r1)), Ok(None));
    assert_eq!(wait(store.context(&other, ContextOf::Response(r1.clone()))), Ok(None));
    assert_eq!(wait(store.context(&other, ContextOf::Conversation(c1.clone()))), Ok(None));
    assert_eq!(wait(store.delete_response(&other, &r1)), Ok(false));
    assert_eq!(wait(store.conversation(&other, &c1)), Ok(None));
    assert_eq!(wait(store.item(&other, &c1, &ItemId::new("m1"))), Ok(None));
    assert_eq!(wait(store.delete_conversation(&other, &c1)), Ok(false));
    assert_eq!(wait(store.delete_item(&other, &c1, &ItemId::new("m1"))), Ok(false));
    assert_eq!(wait(store.lease(&other, &c1, 0, 10)), Err(StateError::Missing));
    assert_eq!(wait(store.events(&other, &r1, None, 1)), Err(StateError::Missing));
    let page = Page::first(Order::Ascending, 10);
    assert_eq!(wait(store.items(&other, &c1, page)), Err(StateError::Missing));
    let mut theirs = turn("r2", after("r1"), &["i"], &[]);
    theirs.owner = owner("other", None);
    assert_eq!(wait(store.commit(theirs)), Err(StateError::Missing));
    let mut same_id = turn("r1", Base::Fresh, &["own"], &[]);
    same_id.owner = owner("other", None);
    assert_eq!(wait(store.commit(same_id)), Ok(Kept::Now), "their own may have the same id");
    assert_eq!(ids(&context(store, "r1")), ["i1", "o1"]);
}

fn a_deleted_response_leaves_what_others_need(store: &dyn StateStore) {
    for (id, base) in [("r1", Base::Fresh), ("r2", after("r1")), ("r3", after("r2"))] {
        let (input, output) = (format!("i-{id}"), format!("o-{id}"));
        wait(store.commit(turn(id, base, &[&input], &[&output]))).unwrap();
    }
    let acme = tenant("acme");
    assert_eq!(wait(store.delete_response(&acme, &ResponseId::new("r2"))), Ok(true));
    assert_eq!(wait(store.delete_response(&acme, &ResponseId::new("r2"))), Ok(false));
    assert_eq!(wait(store.commit(turn("x", after("r2"), &["i"], &[]))), Err(StateError::Missing));
    assert_eq!(context(store, "r3").items.len(), 6, "the later turn keeps its context");
    wait(store.delete_response(&acme, &ResponseId::new("r3"))).unwrap();
    assert_eq!(ids(&context(store, "r1")), ["i-r1", "o-r1"]);
    wait(store.commit(turn("r4", after("r1"), &["i4"], &["o4"]))).unwrap();
    assert_eq!(ids(&context(store, "r4")), ["i-r1", "o-r1", "i4", "o4"]);
}

fn conversations_live_their_life(store: &dyn StateStore) {
    let (acme, c1) = (tenant("acme"), ConversationId::new("c1"));
    wait(store.create_conversation(owner("acme", None), conversation("c1"), vec![item("m1")])).unwrap();
    let again = wait(store.create_conversation(owner("acme", None), conversation("c1"), vec![]));
    assert_eq!(again, Err(StateError::Exists));
    assert_eq!(wait(store.conversation(&acme, &c1)), Ok(Some(conversation("c1"))));
    let changed = ConversationRecord { body: r#"{"metadata":{"a":"b"}}"#.into(), ..conversation("c1") };
    assert_eq!(wait(store.update_conversation(&acme, changed.clone())), Ok(true));
    assert_eq!(wait(store.conversation(&acme, &c1)), Ok(Some(changed)));
    assert_eq!(wait(store.conversations(&acme, None, 10)).unwrap().len(), 1);
    let Leased::Yours { fence } = wait(store.lease(&acme, &c1, 0, 10)).unwrap() else { panic!("held") };
    let added = wait(store.add_items(owner("acme", None), &c1, fence, vec![item("m2"), item("m3")])).unwrap();
    assert_eq!(added.iter().map(|item| item.position).collect::<Vec<_>>(), [1, 2]);
    let base = Base::In { conversation: c1.clone(), fence };
    wait(store.commit(turn("r1", base.clone(), &["i1"], &["o1"]))).unwrap();
    assert_eq!(said(store, "c1"), ["m1", "m2", "m3", "i1", "o1"]);
    assert_eq!(wait(store.delete_item(&acme, &c1, &ItemId::new("m2"))), Ok(true));
    assert_eq!(wait(store.item(&acme, &c1, &ItemId::new("m2"))), Ok(None));
    assert_eq!(wait(store.item(&acme, &c1, &ItemId::new("m3"))).unwrap().unwrap().position, 2);
    wait(store.commit(turn("r2", base, &["i2"], &["o2"]))).unwrap();
    assert_eq!(said(store, "c1"), ["m1", "m3", "i1", "o1", "i2", "o2"]);
    // A turn behind a response of a conversation leaves the conversation alone.
    wait(store.commit(turn("r3", after("r2"), &["i3"], &["o3"]))).unwrap();
    assert_eq!(said(store, "c1").len(), 6);
    assert_eq!(context(store, "r3").items.len(), 8);
    assert_eq!(wait(store.delete_response(&acme, &ResponseId::new("r1"))), Ok(true));
    assert_eq!(said(store, "c1").len(), 6, "a conversation keeps its items");
    assert_eq!(wait(store.delete_conversation(&acme, &c1)), Ok(true));
    assert_eq!(wait(store.conversation(&acme, &c1)), Ok(None));
    assert_eq!(wait(store.context(&acme, ContextOf::Response(ResponseId::new("r2")))), Ok(None));
    assert_eq!(context(store, "r3").items.len(), 8);
}

fn lists_are_paged_both_ways(store: &dyn StateStore) {
    let items: Vec<NewItem> = (0..7).map(|n| item(&format!("m{n}"))).collect();
    wait(store.create_conversation(owner("acme", None), conversation("c1"), items)).unwrap();
    let list = |after: Option<&str>, before: Option<&str>, order, limit| {
        let page = Page { after: after.map(ItemId::new), before: before.map(ItemId::new), order, limit };
        wait(store.items(&tenant("acme"), &ConversationId::new("c1"), page)).map(|listed| {
            let ids: Vec<String> = listed.items.iter().map(|item| item.id.to_string()).collect();
            (ids.join(" "), listed.has_more)
        })
    };
    let found = |text: &str, more: bool| Ok((text.to_owned(), more));
    let (up, down) = (Order::Ascending, Order::Descending);
    assert_eq!(list(None, None, up, 3), found("m0 m1 m2", true));
    assert_eq!(list(Some("m2"), None, up, 3), found("m3 m4 m5", true));
    assert_eq!(list(Some("m5"), None, up, 3), found("m6", false));
    assert_eq!(list(Some("m6"), None, up, 3), found("", false));
    assert_eq!(list(None, None, down, 3), found("m6 m5 m4", true));
    assert_eq!(list(Some("m4"), None, down, 3), found("m3 m2 m1", true));
    assert_eq!(list(None, Some("m4"), up, 3), found("m1 m2 m3", true));
    assert_eq!(list(None, Some("m3"), up, 3), found("m0 m1 m2", false));
    assert_eq!(list(None, Some("m2"), down, 3), found("m5 m4 m3", true));
    assert_eq!(list(Some("m1"), Some("m5"), up, 2), found("m2 m3", true));
    assert_eq!(list(Some("m5"), Some("m1"), down, 9), found("m4 m3 m2", false));
    assert_eq!(list(Some("nobody"), None, up, 3), Err(StateError::NoCursor));
    assert_eq!(list(None, Some("nobody"), up, 3), Err(StateError::NoCursor));
}

fn leases_fence_who_lost_them(store: &dyn StateStore) {
    let (acme, c1) = (tenant("acme"), ConversationId::new("c1"));
    wait(store.create_conversation(owner("acme", None), conversation("c1"), vec![])).unwrap();
    let first = wait(store.lease(&acme, &c1, 100, 200)).unwrap();
    assert_eq!(first, Leased::Yours { fence: 1 });
    assert_eq!(wait(store.lease(&acme, &c1, 150, 250)).unwrap(), Leased::Held { until_us: 200 });
    wait(store.renew(&acme, &c1, 1, 300)).unwrap();
    assert_eq!(wait(store.lease(&acme, &c1, 250, 350)).unwrap(), Leased::Held { until_us: 300 });
    assert_eq!(wait(store.lease(&acme, &c1, 300, 400)).unwrap(), Leased::Yours { fence: 2 });
    let base = |fence| Base::In { conversation: c1.clone(), fence };
    assert_eq!(wait(store.commit(turn("r1", base(1), &["i"], &["o"]))), Err(StateError::Fenced));
    assert_eq!(said(store, "c1"), [""; 0]);
    let add = wait(store.add_items(owner("acme", None), &c1, 1, vec![item("m")]));
    assert_eq!(add, Err(StateError::Fenced));
    assert_eq!(wait(store.renew(&acme, &c1, 1, 900)), Err(StateError::Fenced));
    wait(store.release(&acme, &c1, 1)).unwrap();
    assert_eq!(wait(store.lease(&acme, &c1, 310, 350)).unwrap(), Leased::Held { until_us: 400 });
    assert_eq!(wait(store.commit(turn("r2", base(2), &["i"], &["o"]))), Ok(Kept::Now));
    let again = wait(store.lease(&acme, &c1, 310, 350)).unwrap();
    assert_eq!(again, Leased::Yours { fence: 3 }, "the end of a turn gives the lease back");
    wait(store.release(&acme, &c1, 3)).unwrap();
    assert_eq!(wait(store.lease(&acme, &c1, 310, 350)).unwrap(), Leased::Yours { fence: 4 });
    let gone = wait(store.lease(&acme, &ConversationId::new("gone"), 0, 1));
    assert_eq!(gone, Err(StateError::Missing));
}

fn a_context_opens_where_it_was_compacted(store: &dyn StateStore) {
    wait(store.commit(turn("r1", Base::Fresh, &["i1"], &["o1"]))).unwrap();
    let mut compacted = turn("r2", after("r1"), &["i2"], &["short", "o2"]);
    compacted.output[0].opens_context = true;
    wait(store.commit(compacted)).unwrap();
    wait(store.commit(turn("r3", after("r2"), &["i3"], &["o3"]))).unwrap();
    assert_eq!(ids(&context(store, "r3")), ["short", "o2", "i3", "o3"]);
    assert_eq!(ids(&context(store, "r1")), ["i1", "o1"]);
    let page = Page::first(Order::Ascending, 100);
    let all = wait(store.input_items(&tenant("acme"), &ResponseId::new("r3"), page)).unwrap();
    assert_eq!(all.items.len(), 6, "what is not replayed is still kept");
}

fn forks_are_copies(store: &dyn StateStore) {
    let (acme, c1) = (tenant("acme"), ConversationId::new("c1"));
    let items = vec![item("m0"), item("m1"), item("m2")];
    wait(store.create_conversation(owner("acme", None), conversation("c1"), items)).unwrap();
    let fork = |from: ContextOf, through: Option<&str>, to: &str| {
        wait(store.fork(&acme, from, through.map(ItemId::new), conversation(to), owner("acme", None)))
    };
    fork(ContextOf::Conversation(c1.clone()), Some("m1"), "c2").unwrap();
    fork(ContextOf::Conversation(c1.clone()), None, "c3").unwrap();
    assert_eq!(said(store, "c2"), ["m0", "m1"]);
    assert_eq!(said(store, "c3"), ["m0", "m1", "m2"]);
    wait(store.delete_item(&acme, &c1, &ItemId::new("m0"))).unwrap();
    assert_eq!(said(store, "c2"), ["m0", "m1"], "a copy is not touched");
    assert_eq!(fork(ContextOf::Conversation(c1.clone()), Some("m9"), "c4"), Err(StateError::NoCursor));
    assert_eq!(
        fork(ContextOf::Conversation(ConversationId::new("no")), None, "c4"),
        Err(StateError::Missing)
    );
    assert_eq!(fork(ContextOf::Conversation(c1), None, "c2"), Err(StateError::Exists));
    wait(store.commit(turn("r1", Base::Fresh, &["i1"], &["o1"]))).unwrap();
    wait(store.commit(turn("r2", after("r1"), &["i2"], &["o2"]))).unwrap();
    fork(ContextOf::Response(ResponseId::new("r1")), None, "c5").unwrap();
    assert_eq!(said(store, "c5"), ["i1", "o1"]);
    let Leased::Yours { fence } = wait(store.lease(&acme, &ConversationId::new("c5"), 0, 9)).unwrap() else {
        panic!("held")
    };
    wait(store.add_items(owner("acme", None), &ConversationId::new("c5"), fence, vec![item("m")])).unwrap();
    assert_eq!(said(store, "c5"), ["i1", "o1", "m"]);
}

fn events_are_recorded_in_order(store: &dyn StateStore) {
    let (acme, r1) = (tenant("acme"), ResponseId::new("r1"));
    let mut running = turn("r1", Base::Fresh, &["i1"], &[]);
    running.response.status = Status::InProgress;
    wait(store.commit(running)).unwrap();
    let events = |from: u64, to: u64| -> Vec<RecordedEvent> {
        (from..to).map(|n| RecordedEvent { sequence: n, body: format!("{{\"n\":{n}}}").into() }).collect()
    };
    wait(store.append_events(&acme, &r1, events(0, 3))).unwrap();
    wait(store.append_events(&acme, &r1, events(3, 5))).unwrap();
    wait(store.append_events(&acme, &r1, events(3, 5))).unwrap();
    wait(store.append_events(&acme, &r1, vec![])).unwrap();
    assert_eq!(wait(store.events(&acme, &r1, None, 100)).unwrap(), events(0, 5));
    assert_eq!(wait(store.events(&acme, &r1, Some(1), 100)).unwrap(), events(2, 5));
    assert_eq!(wait(store.events(&acme, &r1, Some(4), 100)).unwrap(), []);
    assert!(!wait(store.events(&acme, &r1, None, 1)).unwrap().is_empty());
    wait(store.commit(turn("r1", Base::Fresh, &["i1"], &["o1"]))).unwrap();
    assert_eq!(wait(store.events(&acme, &r1, Some(3), 9)).unwrap(), events(4, 5), "kept past the end");
    wait(store.delete_response(&acme, &r1)).unwrap();
    assert_eq!(wait(store.events(&acme, &r1, None, 9)), Err(StateError::Missing));
}

fn runners_that_fell_silent_are_found(store: &dyn StateStore) {
    let (acme, r1) = (tenant("acme"), ResponseId::new("r1"));
    let mut running = turn("r1", Base::Fresh, &["i1"], &[]);
    running.response.status = Status::InProgress;
    running.response.runner_until_us = 100;
    wait(store.commit(running)).unwrap();
    assert_eq!(wait(store.abandoned(100, 10)).unwrap(), []);
    assert_eq!(wait(store.keep_alive(&acme, &r1, 300)), Ok(true));
    assert_eq!(wait(store.abandoned(200, 10)).unwrap(), []);
    let found = wait(store.abandoned(301, 10)).unwrap();
    assert_eq!((&found[0].0, &found[0].1.id), (&acme, &r1));
    let mut failed = turn("r1", Base::Fresh, &["i1"], &[]);
    failed.response.status = Status::Failed;
    wait(store.commit(failed)).unwrap();
    assert_eq!(wait(store.keep_alive(&acme, &r1, 900)), Ok(false));
    assert_eq!(wait(store.abandoned(301, 10)).unwrap(), []);
}

fn dates_and_subjects_end(store: &dyn StateStore) {
    let acme = tenant("acme");
    let mut dated = turn("r1", Base::Fresh, &["i1"], &["o1"]);
    dated.response.expires_us = Some(100);
    wait(store.commit(dated)).unwrap();
    let old = ConversationRecord { expires_us: Some(50), ..conversation("c-old") };
    wait(store.create_conversation(owner("acme", None), old, vec![item("m")])).unwrap();
    assert_eq!(wait(store.expire(49, 10)), Ok(0));
    assert_eq!(wait(store.expire(50, 10)), Ok(1));
    assert_eq!(wait(store.conversation(&acme, &ConversationId::new("c-old"))), Ok(None));
    assert_eq!(wait(store.expire(100, 10)), Ok(1));
    assert_eq!(wait(store.response(&acme, &ResponseId::new("r1"))), Ok(None));

    let of = |subject: Option<&str>, id: &str, base: Base| {
        let (input, output) = (format!("i-{id}"), format!("o-{id}"));
        let mut made = turn(id, base, &[&input], &[&output]);
        made.owner = owner("acme", subject);
        wait(store.commit(made)).unwrap();
    };
    of(Some("ann"), "a1", Base::Fresh);
    of(Some("ann"), "a2", after("a1"));
    of(Some("bob"), "b1", Base::Fresh);
    of(None, "n1", Base::Fresh);
    // Bob goes on where Ann was: what she said goes, what he said stays.
    of(Some("bob"), "b2", after("a2"));
    wait(store.create_conversation(owner("acme", Some("ann")), conversation("c-ann"), vec![item("m")]))
        .unwrap();
    let mut elsewhere = turn("a1", Base::Fresh, &["x"], &[]);
    elsewhere.owner = owner("other", Some("ann"));
    wait(store.commit(elsewhere)).unwrap();
    let erase = |what: Erase| wait(store.erase(&acme, what, 777)).unwrap();
    let receipt = erase(Erase::Subject(SubjectId::new("ann")));
    assert_eq!((receipt.responses, receipt.items, receipt.conversations), (2, 5, 1));
    assert_eq!((&*receipt.tenant, receipt.at_us, receipt.log_emptied), ("acme", 777, true));
    for gone in ["a1", "a2"] {
        assert_eq!(wait(store.response(&acme, &ResponseId::new(gone))), Ok(None));
    }
    assert_eq!(wait(store.conversation(&acme, &ConversationId::new("c-ann"))), Ok(None));
    assert_eq!(ids(&context(store, "b2")), ["i-b2", "o-b2"]);
    assert_eq!(ids(&context(store, "b1")), ["i-b1", "o-b1"]);
    assert_eq!(ids(&context(store, "n1")), ["i-n1", "o-n1"]);
    assert!(wait(store.response(&tenant("other"), &ResponseId::new("a1"))).unwrap().is_some());
    let again = erase(Erase::Subject(SubjectId::new("ann")));
    assert_eq!((again.responses, again.items, again.keys_destroyed), (0, 0, 0));
    of(Some("ann"), "a3", Base::Fresh);
    assert_eq!(ids(&context(store, "a3")), ["i-a3", "o-a3"], "the same person may come back");
    let receipt = erase(Erase::Tenant);
    assert_eq!(receipt.responses, 4);
    assert_eq!(wait(store.responses(&acme, None, 100)).unwrap(), []);
    assert!(wait(store.response(&tenant("other"), &ResponseId::new("a1"))).unwrap().is_some());
}
