//! A bench for flows: scripted partners in memory, paused time, definitions as operators write them.
mod call;
mod compound;
mod flow;
mod forward;
mod judge;
mod once;
mod sealed;

use std::{
    sync::Arc,
    time::{Duration, Instant as StdInstant},
};

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use qiao_core::{
    Answer, AnswerBody, BoxFuture, CallId, Connector, EndpointHealth, Fault, Outbound, OutboundBody, Repeat,
    Span, fault_codes,
};
use qiao_mappings::strict::Source;
use qiao_vault::Vault;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::{CallInput, CallOutput, SpanLog, run};
use crate::{
    definitions::{Definitions, InterfaceDefinition, SystemDefinition},
    mistake::PlanMistake,
    plan::{CompileContext, ConnectorFactory, Plan, compile},
};

/// What a scripted partner was asked.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub system: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Value,
    pub attempt: u32,
    pub key: Option<String>,
    pub avoid: Option<Arc<str>>,
    pub at: Instant,
}

/// What a scripted partner does.
pub(crate) enum Reaction {
    Answer(u16, Value),
    /// After so many milliseconds.
    Late(u64, u16, Value),
    Fault(Fault),
    /// Never answers: the connector gives up at its deadline.
    Hang,
}

type Script = Box<dyn Fn(&Seen) -> Reaction + Send + Sync>;

pub(crate) struct Partners {
    script: Script,
    pub seen: Mutex<Vec<Seen>>,
}

impl Partners {
    pub fn new(script: impl Fn(&Seen) -> Reaction + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { script: Box::new(script), seen: Mutex::default() })
    }

    pub fn asked(&self, path: &str) -> usize {
        self.seen.lock().iter().filter(|seen| seen.path == path).count()
    }
}

struct Scripted {
    system: String,
    partners: Arc<Partners>,
}

impl Scripted {
    async fn react(&self, outbound: Outbound) -> Result<Answer, Fault> {
        let body = match &outbound.body {
            OutboundBody::Whole(bytes) => serde_json::from_slice(bytes).unwrap_or_default(),
            OutboundBody::Stream(_) => Value::from("stream"),
        };
        let seen = Seen {
            system: self.system.clone(),
            path: outbound.path,
            headers: outbound.headers,
            body,
            attempt: outbound.attempt,
            key: outbound.idempotency_key.map(String::from),
            avoid: outbound.avoid,
            at: Instant::now(),
        };
        self.partners.seen.lock().push(seen.clone());
        let endpoint: Arc<str> = format!("{}.example", self.system).into();
        let (status, document) = match (self.partners.script)(&seen) {
            Reaction::Answer(status, document) => (status, document),
            Reaction::Fault(fault) => return Err(fault.with_endpoint(endpoint)),
            Reaction::Late(after, status, document)
                if Instant::now() + ms(after) < outbound.deadline.into() =>
            {
                sleep(ms(after)).await;
                (status, document)
            }
            Reaction::Late(..) | Reaction::Hang => {
                sleep_until(outbound.deadline.into()).await;
                let repeat = if outbound.changing { Repeat::Unknown } else { Repeat::Safe };
                let fault =
                    Fault::new(&fault_codes::PARTNER_TIMEOUT, "no answer in time").with_repeat(repeat);
                return Err(fault.with_endpoint(endpoint));
            }
        };
        let bytes = if document.is_null() { Bytes::new() } else { Bytes::from(document.to_string()) };
        let (headers, mocked) = (HeaderMap::new(), None);
        Ok(Answer { status, headers, body: AnswerBody::Whole(bytes), endpoint, mocked })
    }
}

impl Connector for Scripted {
    fn call(&self, outbound: Outbound) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(self.react(outbound))
    }

    fn forward(&self, outbound: Outbound) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(async {
            let mut answer = self.react(outbound).await?;
            let AnswerBody::Whole(bytes) = answer.body else { return Ok(answer) };
            let body =
                http_body_util::BodyExt::map_err(http_body_util::Full::new(bytes), |never| match never {});
            answer.body = AnswerBody::Stream(qiao_core::connector::StreamBody::new(body));
            Ok(answer)
        })
    }

    fn health(&self) -> Vec<EndpointHealth> {
        Vec::new()
    }
}

pub(crate) struct Factory(pub Arc<Partners>);

impl ConnectorFactory for Factory {
    fn connector(&self, id: &str, _: &SystemDefinition) -> Result<Arc<dyn Connector>, String> {
        Ok(Arc::new(Scripted { system: id.to_owned(), partners: self.0.clone() }))
    }
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn read<T: DeserializeOwned + JsonSchema + 'static>(yaml: &str) -> T {
    let source = Source::read("test.yaml", yaml).unwrap_or_else(|wrong| panic!("{wrong:#?}\n{yaml}"));
    source.decode().unwrap_or_else(|wrong| panic!("{wrong:#?}\n{yaml}"))
}

/// A system with one operation of each sort, and more settings.
pub(crate) fn system(id: &str, more: &str) -> SystemDefinition {
    read(&format!(
        "system: {id}
title: 测试系统
protocol: http
timeout: 1s
{more}
operations:
  query: {{title: 查, path: /query, changing: false}}
  other: {{title: 查, path: /other, changing: false}}
  change: {{title: 改, path: /change, changing: true}}
  keyed: {{title: 改, path: /keyed, changing: true, idempotencyHeader: X-Key}}
"
    ))
}

/// An interface with this flow (YAML, indented by two blanks) and more settings.
pub(crate) fn interface(more: &str, flow: &str) -> InterfaceDefinition {
    read(&format!("interface: test.flow\ntitle: 测试\npattern: sync\n{more}\nflow:\n{flow}\n"))
}

pub(crate) fn definitions(
    systems: Vec<SystemDefinition>,
    interfaces: Vec<InterfaceDefinition>,
) -> Definitions {
    Definitions {
        systems: systems.into_iter().map(|system| (system.system.clone(), Arc::new(system))).collect(),
        interfaces: interfaces.into_iter().map(|face| (face.interface.clone(), Arc::new(face))).collect(),
        ..Definitions::default()
    }
}

pub(crate) fn plan_of(
    definitions: &Definitions,
    partners: &Arc<Partners>,
    previous: Option<&Plan>,
) -> Result<Arc<Plan>, Vec<PlanMistake>> {
    let vault = Vault::in_memory().expect("a vault");
    let factory = Factory(partners.clone());
    let number = previous.map_or(1, |plan| plan.number + 1);
    compile(definitions, &CompileContext { vault: &vault, connectors: &factory, previous, number })
        .map(Arc::new)
}

/// One plan with one interface, ready to be called.
pub(crate) struct Bench {
    pub partners: Arc<Partners>,
    pub plan: Arc<Plan>,
}

/// What a call came to.
pub(crate) struct Ran {
    pub output: CallOutput,
    pub spans: Vec<Span>,
    pub dropped: u32,
    pub body: Value,
    /// Milliseconds it took.
    pub took: u128,
}

impl Bench {
    /// Systems `a` and `b` without further settings.
    pub fn new(flow: &str, script: impl Fn(&Seen) -> Reaction + Send + Sync + 'static) -> Self {
        Self::with(vec![system("a", ""), system("b", "")], "", flow, script)
    }

    pub fn with(
        systems: Vec<SystemDefinition>,
        more: &str,
        flow: &str,
        script: impl Fn(&Seen) -> Reaction + Send + Sync + 'static,
    ) -> Self {
        let partners = Partners::new(script);
        let definitions = definitions(systems, vec![interface(more, flow)]);
        let plan = plan_of(&definitions, &partners, None).unwrap_or_else(|wrong| panic!("{wrong:#?}"));
        Self { partners, plan }
    }

    pub async fn call(&self, request: Value) -> Ran {
        self.call_within(request, 10_000).await
    }

    pub async fn call_within(&self, request: Value, deadline_ms: u64) -> Ran {
        let now = StdInstant::from(Instant::now());
        let spans = SpanLog::new(now);
        let input = CallInput {
            call: CallId::from_bytes([7; 16]),
            caller: None,
            headers: &HeaderMap::new(),
            body: Bytes::from(request.to_string()),
            deadline: now + ms(deadline_ms),
            started_us: 1_767_225_600_000_000,
            traceparent: None,
            request_id: None,
            arrival: Default::default(),
        };
        self.input(input, &spans).await
    }

    pub async fn input(&self, input: CallInput<'_>, spans: &SpanLog) -> Ran {
        let start = Instant::now();
        let interface = self.plan.interface("test.flow").expect("the interface");
        let output = run(&self.plan, interface, input, spans).await;
        let (spans, dropped) = spans.take();
        let body = serde_json::from_slice(&output.body).unwrap_or_default();
        Ran { output, spans, dropped, body, took: start.elapsed().as_millis() }
    }
}

impl Ran {
    pub fn fault(&self) -> u16 {
        self.output.fault.as_ref().map_or(0, |fault| fault.code().number)
    }

    pub fn span(&self, name: &str) -> &Span {
        let names = || self.spans.iter().map(|span| &*span.name).collect::<Vec<_>>().join(", ");
        self.spans
            .iter()
            .find(|span| &*span.name == name)
            .unwrap_or_else(|| panic!("no span {name}: {}", names()))
    }
}
