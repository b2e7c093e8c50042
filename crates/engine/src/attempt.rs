//! One attempt: one upstream request for one call on one deployment.
//!
//! Order matters here more than anywhere: everything that can fail without the upstream comes first; then the
//! attempt is journalled; then the first byte leaves.

use crate::{
    breaker::Gate,
    call::{ActiveCall, Wire},
    caller::Caller,
    deployment::Deployment,
    engine::Engine,
    place::Placed,
    refusal::Relayed,
    settle::{self, Health, Settlement},
    stream::{self, Beginning, ReplyStream, Road},
    upstream::{Answer, Pieces},
};
use bytes::Bytes;
use dialects::{Target, openai_chat::passthrough::StreamTee};
use domain::{
    Code, DecisionId, Fault, Losses, Reply, RetryClass, Secret, Source,
    journal::Permit,
    record::{AttemptRecord, Record, ServedBy},
};
use http::header;
use providers::{Answer as UpstreamError, BodyMarks, Operation, RequestParts};
use std::{sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// An answer to a call, as it goes to the caller.
pub(crate) struct Success {
    pub(crate) body: AnswerBody,
    pub(crate) losses: Losses,
    pub(crate) served_by: ServedBy,
    /// What was booked, where the answer is whole.
    pub(crate) settled: Option<settle::Settled>,
}

/// The body of an answer.
pub enum AnswerBody {
    /// Complete.
    Whole(WholeReply),
    /// As it comes.
    Stream(Box<ReplyStream>),
}

/// A complete answer.
pub enum WholeReply {
    /// The upstream's bytes, of the caller's dialect.
    Bytes(Bytes),
    /// To be written in the caller's dialect.
    Reply(Box<Reply>),
}

/// Why an attempt yielded nothing.
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    /// The open end, where the attempt was journalled.
    pub(crate) settlement: Option<Settlement>,
    pub(crate) relayed: Option<Relayed>,
}

impl Failure {
    fn before(fault: Fault) -> Self {
        Self { fault, settlement: None, relayed: None }
    }
}

/// What stays the same over the attempts of one call.
pub(crate) struct Course<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) caller: &'a Caller,
    pub(crate) call: &'a ActiveCall,
    pub(crate) decision: DecisionId,
    /// Where it may run.
    pub(crate) placed: &'a Placed,
    /// The room for the call's end; with the attempt that is under way.
    pub(crate) permit: Option<Permit>,
    /// The failed attempt before, whose end is written when it is known that another follows.
    pub(crate) before: Option<Failure>,
    /// Attempts journalled so far.
    pub(crate) attempts: u16,
    /// The shortest wait that a failed attempt asked for.
    pub(crate) shortest_wait: Option<Duration>,
}

/// An error body is read up to this length.
const MAX_ERROR_BODY: usize = 64 * 1024;
/// A whole answer may be this long.
const MAX_REPLY: usize = 64 * 1024 * 1024;
/// An error body must have arrived after this time.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// A host that limits us and does not say how long is left alone for this time.
const LIMIT_PAUSE: Duration = Duration::from_secs(2);
/// The same for a quota that is used up: it is not back in seconds, but an operator may raise it.
const QUOTA_PAUSE: Duration = Duration::from_secs(60);
/// The caller's headers are held back this long for the first content.
const PATIENCE: Duration = Duration::from_secs(10);

impl Course<'_> {
    /// Makes one attempt on `deployment`, whose breaker has let it pass by `gate`.
    pub(crate) async fn attempt(
        &mut self,
        deployment: &Arc<Deployment>,
        gate: Gate,
    ) -> Result<Success, Failure> {
        let ready = self.prepare(deployment).await;
        let (place, secret, wire, request) = match ready {
            Ok(ready) => ready,
            Err(fault) => {
                if gate == Gate::Probe {
                    deployment.breaker().abandon();
                }
                return Err(Failure::before(fault));
            }
        };
        let started = self.engine.shared.clock.monotonic();
        let mut settlement = self.open(deployment, gate, &wire, started).map_err(Failure::before)?;
        settlement.losses(&wire.losses);
        let workload = &self.caller.workload;
        settlement.classed(self.call.classed(), &workload.profile);
        let sent = deployment.pool.send(request, started);
        let answered = tokio::time::timeout(deployment.timeouts.first_content, sent);
        // Polled after the request is on its way: which conversation it is, is found while the provider thinks.
        let (answer, class) =
            futures_util::future::join(answered, self.call.discover(&self.engine.shared, workload)).await;
        settlement.classed(class, &workload.profile);
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(fault)) => return Err(failed(fault, settlement)),
            Err(_) => {
                let fault = Fault::upstream(Code::UpstreamTimeout, "the provider did not answer in time");
                return Err(failed(fault, settlement));
            }
        };
        settlement.answered(answer.status.as_u16(), "", ServedBy::Unknown);
        // A good whole answer is weighed once, with its body.
        if self.call.stream() || !answer.status.is_success() {
            weigh(&mut settlement, answer.status, &answer.headers, BodyMarks::default());
        }
        if !answer.status.is_success() {
            return Err(Box::pin(self.refused(deployment, &secret, wire.passed, answer, settlement)).await);
        }
        // Boxed where it is the rarer road, so that what all calls carry stays small.
        if self.call.stream() {
            Box::pin(self.streamed(answer, wire, settlement, started, place)).await
        } else {
            self.whole(answer, wire, settlement, started).await
        }
    }

    /// Everything that can fail before the upstream is involved: a place, the secret, the body, the request.
    async fn prepare(&self, deployment: &Arc<Deployment>) -> Result<Prepared, Fault> {
        let place = Arc::clone(&deployment.vitals.places).try_acquire_owned().map_err(|_| saturated())?;
        let secret = match deployment.secret.current() {
            Some(secret) => secret,
            None => deployment.secret.fetch().await?,
        };
        let endpoint = &deployment.endpoint;
        let target = Target {
            model: endpoint.wire_model(),
            capabilities: &deployment.capabilities,
            quirks: endpoint.quirks(),
        };
        let wire = self.call.encode_for(deployment, &target)?;
        let parts = RequestParts {
            operation: self.call.operation(),
            stream: self.call.stream(),
            secret: &secret,
            now: self.engine.shared.clock.now(),
            call: self.call.id(),
            body: if endpoint.signs_body() { wire.body.joined() } else { Bytes::new() },
        };
        let request = endpoint.request(parts)?.map(|_signed| wire.body.clone());
        Ok((place, secret, wire, request))
    }

    /// The first barrier: the attempt is in the journal before its first byte leaves. The end of the attempt
    /// before it is written here too, now that it is known not to be the last.
    fn open(
        &mut self,
        deployment: &Arc<Deployment>,
        gate: Gate,
        wire: &Wire,
        started: Duration,
    ) -> Result<Settlement, Fault> {
        if let Some(mut before) = self.before.take()
            && let Some(settlement) = before.settlement.take()
        {
            self.permit = settlement.failed_over(before.fault.code, health_of(&before.fault));
        }
        let shared = &self.engine.shared;
        self.attempts += 1;
        let record = Record::Attempt(AttemptRecord {
            call: self.call.id(),
            attempt: self.attempts,
            at_us: shared.clock.now().as_microsecond(),
            workload: self.caller.workload.id.clone(),
            key: self.caller.key.clone(),
            model: self.call.model().into(),
            deployment: deployment.id.clone(),
            decision: self.decision,
            stream: self.call.stream(),
            request_bytes: wire.body.len(),
            waived: self.placed.waived(&deployment.id).into(),
        });
        if let Err(error) = shared.journal.append(&record) {
            if gate == Gate::Probe {
                deployment.breaker().abandon();
            }
            return Err(crate::engine::journal_fault(&error));
        }
        Ok(Settlement::open(settle::Opening {
            shared: Arc::clone(shared),
            deployment: Arc::clone(deployment),
            permit: self.permit.take().unwrap_or(Permit::free()),
            workload: self.caller.workload.id.clone(),
            call: self.call.id(),
            attempt: self.attempts,
            started,
            probe: gate == Gate::Probe,
            request_bytes: wire.body.len(),
        }))
    }

    /// The upstream said no.
    async fn refused(
        &self,
        deployment: &Arc<Deployment>,
        secret: &Arc<Secret>,
        passed: bool,
        answer: Answer,
        settlement: Settlement,
    ) -> Failure {
        let shared = &self.engine.shared;
        let endpoint = &deployment.endpoint;
        let collected = answer.body.collect(MAX_ERROR_BODY, shared.clock.monotonic());
        let body = tokio::time::timeout(ERROR_BODY_TIMEOUT, collected)
            .await
            .ok()
            .and_then(Result::ok)
            .unwrap_or_default();
        let status = answer.status.as_u16();
        let said = dialects::codec(endpoint.dialect()).decode_error(status, &body);
        let now = shared.clock.now();
        let error = UpstreamError {
            status,
            headers: &answer.headers,
            body: &body,
            said: &said,
            now,
            passed_through: passed,
        };
        let mut fault = endpoint.fault(&error);
        fault.upstream_status = Some(status);
        if self.call.operation() == Operation::Embeddings && answer.status.is_client_error() {
            // A chat model that is asked for vectors may be refused like this; it stays well for chats.
            fault.counts_against_health = false;
        }
        if fault.code == Code::UpstreamAuth
            && fault.retry == RetryClass::SameAgain
            && deployment.secret.refresh(secret).await.is_err()
        {
            fault.retry = RetryClass::NextCandidate;
        }
        let echoes = echoes(secret, &body);
        if echoes {
            // Nobody reads on what holds a credential of ours: neither the caller nor the log.
            fault.param = None;
            fault = fault.because("the host's words are left out: they repeat the gateway's credential");
        }
        let relayed = (passed && !echoes && endpoint.relayable(status, &body))
            .then(|| Relayed { status: answer.status, body });
        Failure { fault, settlement: Some(settlement), relayed }
    }

    /// A whole answer: read, understood, booked; the second barrier stands before it is handed out.
    async fn whole(
        &self,
        answer: Answer,
        wire: Wire,
        mut settlement: Settlement,
        started: Duration,
    ) -> Result<Success, Failure> {
        let shared = &self.engine.shared;
        let deployment = Arc::clone(settlement.deployment());
        if let Err(fault) = expect_type(&answer, &["application/json"]) {
            return Err(failed(fault, settlement));
        }
        let left = deployment.timeouts.total.saturating_sub(shared.clock.monotonic().saturating_sub(started));
        let (status, headers) = (answer.status, answer.headers);
        let bytes = match tokio::time::timeout(left, answer.body.collect(MAX_REPLY, shared.clock.monotonic()))
            .await
        {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(fault)) => return Err(failed(fault, settlement)),
            Err(_) => {
                let fault =
                    Fault::upstream(Code::UpstreamTimeout, "the provider's answer did not arrive in time");
                return Err(failed(fault, settlement));
            }
        };
        // One that passes through is checked as it is peeked into.
        if !wire.passed
            && let Err(error) = std::str::from_utf8(&bytes)
        {
            let fault = Fault::upstream(Code::UpstreamBadResponse, "the provider's answer is not UTF-8");
            return Err(failed(fault.because(&error.to_string()), settlement));
        }
        settlement.first_content();
        settlement.released(bytes.len());
        let mut marks = BodyMarks { id: None, bytes: &bytes };
        let reply = if wire.passed {
            match self.call.peek(&bytes) {
                Ok(peek) => {
                    marks.id = peek.id.as_deref();
                    settlement.usage = peek.usage;
                    settlement.finish(peek.finish.as_ref().map_or("", domain::Finish::class));
                    settlement.tier.clone_from(&peek.service_tier);
                    weigh(&mut settlement, status, &headers, marks);
                    WholeReply::Bytes(bytes)
                }
                Err(fault) => return Err(failed(fault, settlement)),
            }
        } else {
            match dialects::codec(deployment.endpoint.dialect()).decode_reply(&bytes) {
                Ok(reply) => {
                    marks.id = Some(&reply.id);
                    settlement.usage = reply.usage;
                    let finish = reply.candidates.first().and_then(|candidate| candidate.finish.as_ref());
                    settlement.finish(finish.map_or("", domain::Finish::class));
                    settlement.tier.clone_from(&reply.service_tier);
                    weigh(&mut settlement, status, &headers, marks);
                    WholeReply::Reply(Box::new(reply))
                }
                Err(fault) => return Err(failed(fault, settlement)),
            }
        };
        let served_by = settlement.evidence();
        let settled = settlement.done();
        Ok(Success { body: AnswerBody::Whole(reply), losses: wire.losses, served_by, settled: Some(settled) })
    }

    /// A streamed answer: held until its first content, so that another candidate can still take over.
    async fn streamed(
        &self,
        answer: Answer,
        wire: Wire,
        settlement: Settlement,
        started: Duration,
        place: OwnedSemaphorePermit,
    ) -> Result<Success, Failure> {
        if let Err(fault) = expect_type(&answer, &["text/event-stream", "application/vnd.amazon.eventstream"])
        {
            return Err(self.no_stream(answer, fault, settlement).await);
        }
        let served_by = settlement.evidence();
        let road = if wire.passed {
            Road::Tee(Box::new(StreamTee::new(wire.usage_put_in)))
        } else {
            Road::Events(dialects::codec(settlement.deployment().endpoint.dialect()).stream_decoder())
        };
        let shared = Arc::clone(&self.engine.shared);
        let mut reply = Box::new(ReplyStream::open(stream::Opening {
            shared,
            body: answer.body,
            road,
            settlement,
            started,
            place,
        }));
        match reply.begin(PATIENCE).await {
            Beginning::Content => {
                let served_by = reply.settlement().map_or(served_by, |settlement| settlement.evidence());
                Ok(Success { body: AnswerBody::Stream(reply), losses: wire.losses, served_by, settled: None })
            }
            Beginning::Failed(fault) => {
                Err(Failure { fault, settlement: reply.take_settlement(), relayed: None })
            }
        }
    }

    /// A stream was asked for and something else came: an error that wears a 200, or a page.
    async fn no_stream(&self, answer: Answer, fault: Fault, settlement: Settlement) -> Failure {
        let now = self.engine.shared.clock.monotonic();
        let body = tokio::time::timeout(ERROR_BODY_TIMEOUT, answer.body.collect(MAX_ERROR_BODY, now)).await;
        let codec = dialects::codec(settlement.deployment().endpoint.dialect());
        let inside = body.ok().and_then(Result::ok).and_then(|body| codec.decode_reply(&body).err());
        failed(inside.unwrap_or(fault), settlement)
    }
}

type Prepared = (OwnedSemaphorePermit, Arc<Secret>, Wire, http::Request<Pieces>);

fn failed(fault: Fault, settlement: Settlement) -> Failure {
    Failure { fault, settlement: Some(settlement), relayed: None }
}

/// What head and body tell of who answers.
fn weigh(
    settlement: &mut Settlement,
    status: http::StatusCode,
    headers: &http::HeaderMap,
    marks: BodyMarks<'_>,
) {
    let evidence = settlement.deployment().endpoint.evidence(headers, marks);
    let id = evidence.request_id.as_deref().unwrap_or_default();
    settlement.answered(status.as_u16(), id, evidence.verdict);
}

/// What a fault tells of the deployment's health.
pub(crate) fn health_of(fault: &Fault) -> Health {
    match fault.source {
        // A limit is no illness, but while it lasts calls are better placed elsewhere.
        Source::Upstream => match (fault.retry_after, fault.code) {
            (Some(asked), _) => Health::Bad(Some(asked)),
            (None, Code::RateLimited) => Health::Bad(Some(LIMIT_PAUSE)),
            (None, Code::QuotaExhausted) => Health::Bad(Some(QUOTA_PAUSE)),
            _ if fault.counts_against_health => Health::Bad(None),
            _ => Health::Unknown,
        },
        // It understood the request and said so: it works.
        Source::Caller => Health::Good,
        _ => Health::Unknown,
    }
}

/// Whether an upstream's words repeat the secret that it was sent.
fn echoes(secret: &Secret, body: &[u8]) -> bool {
    let holds = |value: &str| value.len() >= 8 && memchr::memmem::find(body, value.as_bytes()).is_some();
    match secret {
        Secret::None => false,
        Secret::Token { value, .. } => holds(value),
        Secret::Aws { secret_access_key, session_token, .. } => {
            holds(secret_access_key) || session_token.as_deref().is_some_and(holds)
        }
    }
}

fn saturated() -> Fault {
    Fault::new(
        Source::Gateway,
        RetryClass::NextCandidate,
        Code::PermittedUnavailable,
        "the deployment has as many calls under way as it may",
    )
    .after(Some(Duration::from_secs(1)))
}

fn expect_type(answer: &Answer, wanted: &[&str]) -> Result<(), Fault> {
    // None is asked for, so none may come: its bytes would be taken for the answer.
    if let Some(encoding) = answer.headers.get(header::CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let message = "the provider's answer has a content-encoding that was not asked for";
        return Err(Fault::upstream(Code::UpstreamBadResponse, message));
    }
    let got =
        answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = got.split(';').next().unwrap_or_default().trim();
    if wanted.iter().any(|wanted| kind.eq_ignore_ascii_case(wanted)) {
        return Ok(());
    }
    Err(Fault::upstream(
        Code::UpstreamBadResponse,
        "the provider's answer is not of the type that its API promises",
    )
    .because(&format!("content-type {got:?}")))
}
