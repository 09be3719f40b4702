//! HTTP and SOAP towards one system: pooled, balanced, checked. For who wires a system up or reads what an attempt does.
//!
//! An attempt: take a slot, pick an endpoint, take or open a connection, send, read the head, then read the body whole
//! (`call`) or hand it on (`forward`). The caller's own task does all of it; only HTTP/2 connections have a task.
mod body;
mod connection;
mod dial;
mod endpoints;
mod failure;
mod headers;
mod health;
mod pool;
mod request;

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use bytes::{Bytes, BytesMut};
use http::{Response, response::Parts};
use http_body::Body;
use hyper::body::Incoming;
use qiao_core::{
    Answer, AnswerBody, BoxFuture, Connector, EndpointHealth, Fault, Outbound, connector::StreamBody,
};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{Instant, Sleep, sleep_until},
};

pub use self::body::AnswerBroken;
use self::{
    body::AnswerStream,
    dial::Target,
    endpoints::{ActiveCall, Endpoints},
    failure::Scene,
    pool::{Lease, Pool},
    request::{Operation, Prepared},
};
use crate::{
    config::{AnswerLimits, ConfigError, HttpConfig},
    credentials::Credential,
};

/// A streamed answer this short is handed on whole where it came with its head.
const WHOLE_AT_ONCE: u64 = 64 << 10;

/// A system reached over HTTP or SOAP. Dropping it stops its upkeep; streamed answers under way finish.
pub struct HttpConnector {
    system: Arc<str>,
    endpoints: Arc<Endpoints>,
    pool: Arc<Pool>,
    max_connections: usize,
    operations: Vec<Operation>,
    credential: Credential,
    limits: AnswerLimits,
    stream_idle: std::time::Duration,
    upkeep: Vec<AbortHandle>,
}

impl HttpConnector {
    /// Compiles the settings and starts the upkeep; opens no connection. Must be called within a tokio runtime.
    ///
    /// Errors: the first setting that cannot work, by its name in the definition, with what to write instead.
    pub fn new(config: HttpConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let operations = Operation::compile(&config)?;
        let endpoints = Arc::new(Endpoints::new(targets(&config)?, config.passive.clone()));
        let pool = Arc::new(Pool::new(endpoints.all.len(), config.pool.clone()));
        let sweep = health::sweep(Arc::downgrade(&pool), config.pool.idle_timeout);
        let mut upkeep = vec![tokio::spawn(sweep).abort_handle()];
        if let Some(checks) = config.health {
            upkeep.push(tokio::spawn(health::check(Arc::downgrade(&endpoints), checks)).abort_handle());
        }
        Ok(Self {
            system: config.system,
            endpoints,
            pool,
            max_connections: config.pool.max_connections,
            operations,
            credential: config.credential,
            limits: config.limits,
            stream_idle: config.stream_idle,
            upkeep,
        })
    }

    /// Stops health checks and closes unused connections; calls under way finish and their connections then close.
    pub fn drain(&self) {
        self.upkeep.iter().for_each(AbortHandle::abort);
        self.pool.drain();
    }

    /// Changes whenever an endpoint goes up or down.
    pub fn watch_health(&self) -> watch::Receiver<u64> {
        self.endpoints.watch()
    }

    async fn call_whole(&self, outbound: Outbound) -> Result<Answer, Fault> {
        let mut deadline = pin!(sleep_until(Instant::from_std(outbound.deadline)));
        let mut scene = self.scene(&outbound);
        let (parts, incoming, mut lease) = self.exchange(outbound, &mut scene, deadline.as_mut()).await?;
        let bound = self.limits.answer_bytes;
        let body = match within(deadline, read_whole(&mut lease, incoming, bound)).await {
            None => return Err(scene.late(true, "reading the answer")),
            Some(Ok(Some(body))) => body,
            Some(Ok(None)) => return Err(scene.answer_too_long("limits.answerBytes", bound as u64)),
            Some(Err(error)) => return Err(scene.body_broken(&error)),
        };
        let endpoint = lease.call.endpoint().name.clone();
        lease.release();
        Ok(answer(parts, AnswerBody::Whole(body), endpoint))
    }

    async fn forward_stream(&self, outbound: Outbound) -> Result<Answer, Fault> {
        let deadline = pin!(sleep_until(Instant::from_std(outbound.deadline)));
        let mut scene = self.scene(&outbound);
        let (parts, incoming, lease) = self.exchange(outbound, &mut scene, deadline).await?;
        let endpoint = lease.call.endpoint().name.clone();
        let body = self.hand_on(incoming, lease, &scene).await?;
        Ok(answer(parts, body, endpoint))
    }

    /// The answer's body as a stream, or whole where it is short and there already: then the connection is free at once.
    async fn hand_on(
        &self,
        mut incoming: Incoming,
        mut lease: Lease,
        scene: &Scene<'_>,
    ) -> Result<AnswerBody, Fault> {
        let length = incoming.size_hint().exact();
        if let (Some(length), Some(bound)) = (length, self.limits.stream_bytes)
            && length > bound
        {
            return Err(scene.answer_too_long("limits.streamBytes", bound));
        }
        let mut first = None;
        if length.is_some_and(|length| length <= WHOLE_AT_ONCE) {
            let now = std::future::poll_fn(|cx| Poll::Ready(lease.poll_frame(&mut incoming, cx))).await;
            first = match now {
                Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
                Poll::Ready(Some(Err(error))) => return Err(scene.body_broken(&error)),
                Poll::Ready(None) => Some(Bytes::new()),
                Poll::Pending => None,
            };
            if first.is_some() && incoming.is_end_stream() {
                lease.release();
                return Ok(AnswerBody::Whole(first.unwrap_or_default()));
            }
        }
        let stream = AnswerStream::new(incoming, lease, first, self.limits.stream_bytes, self.stream_idle);
        Ok(AnswerBody::Stream(StreamBody::new(stream)))
    }

    /// Sends the request and reads the answer's head. The lease comes with it: dropping it closes the connection.
    async fn exchange(
        &self,
        outbound: Outbound,
        scene: &mut Scene<'_>,
        mut deadline: Pin<&mut Sleep>,
    ) -> Result<(Parts, Incoming, Lease), Fault> {
        if Instant::now() >= deadline.deadline() {
            return Err(scene.late_unsent("the attempt had not begun"));
        }
        let avoid = outbound.avoid.clone();
        let prepared = Prepared::new(outbound, &self.operations, &self.credential, scene)?;
        let Some(Some(slot)) = within(deadline.as_mut(), self.pool.slot()).await else {
            return Err(scene.no_slot(self.max_connections));
        };
        let call = ActiveCall::new(self.endpoints.clone(), self.endpoints.pick(avoid.as_deref()));
        scene.endpoint = Some(call.endpoint().name.clone());
        let mut lease = self.connect((call, slot), false, scene, deadline.as_mut()).await?;
        let mut request = prepared.request(&lease, scene)?;
        loop {
            let Some(sent) = within(deadline.as_mut(), lease.send(request)).await else {
                return Err(scene.late(lease.may_have_sent(), "waiting for the answer"));
            };
            let mut error = match sent {
                Ok(response) => return believed(response, lease, scene),
                Err(error) => error,
            };
            let unsent = error.take_message();
            let sent = unsent.is_none() && lease.may_have_sent();
            match unsent {
                // Closed by the partner between two calls: it saw nothing, so a new connection is not a second attempt.
                Some(unsent) if lease.reused => {
                    lease = self.connect(lease.into_place(), true, scene, deadline.as_mut()).await?;
                    request = unsent;
                }
                _ => return Err(scene.send_failed(&error.into_error(), sent, self.limits.header_bytes)),
            }
        }
    }

    async fn connect(
        &self,
        (call, slot): (ActiveCall, tokio::sync::OwnedSemaphorePermit),
        fresh: bool,
        scene: &Scene<'_>,
        deadline: Pin<&mut Sleep>,
    ) -> Result<Lease, Fault> {
        match within(deadline, self.pool.lease(call, slot, fresh)).await {
            None => Err(scene.late_unsent("connecting")),
            Some(Ok(lease)) => {
                if !lease.reused {
                    self.endpoints.connected(lease.call.index);
                }
                Ok(lease)
            }
            Some(Err((error, call))) => {
                self.endpoints.connect_failed(call.index);
                Err(scene.not_connected(&error))
            }
        }
    }

    fn scene(&self, outbound: &Outbound) -> Scene<'_> {
        Scene { system: &self.system, endpoint: None, changing: outbound.changing }
    }
}

impl Connector for HttpConnector {
    fn call(&self, outbound: Outbound) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(self.call_whole(outbound))
    }

    fn forward(&self, outbound: Outbound) -> BoxFuture<'_, Result<Answer, Fault>> {
        Box::pin(self.forward_stream(outbound))
    }

    fn health(&self) -> Vec<EndpointHealth> {
        self.endpoints.health()
    }
}

impl Drop for HttpConnector {
    fn drop(&mut self) {
        self.drain();
    }
}

fn targets(config: &HttpConfig) -> Result<Vec<(Arc<str>, u32, Target)>, ConfigError> {
    let mut compiled = None;
    let mut tls = || {
        if compiled.is_none() {
            let settings = config.tls.clone().unwrap_or_default();
            compiled = Some(settings.compile(config.version).map_err(|error| error.to_string())?);
        }
        compiled.clone().ok_or_else(String::new)
    };
    let target = |(index, endpoint): (usize, &crate::config::Endpoint)| {
        Target::new(&endpoint.url, config, &mut tls)
            .map(|target| (Arc::from(endpoint.url.as_str()), endpoint.weight, target))
            .map_err(|reason| config.mistake(format!("endpoints[{index}].url"), reason))
    };
    config.endpoints.iter().enumerate().map(target).collect()
}

/// What `future` gives, or `None` once the deadline has passed. One timer serves all waits of an attempt.
async fn within<T>(mut deadline: Pin<&mut Sleep>, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => deadline.as_mut().poll(cx).map(|()| None),
    })
    .await
}

fn believed(
    response: Response<Incoming>,
    lease: Lease,
    scene: &Scene<'_>,
) -> Result<(Parts, Incoming, Lease), Fault> {
    let (mut parts, incoming) = response.into_parts();
    headers::check_answer(parts.status, &parts.headers).map_err(|why| scene.suspicious(why))?;
    headers::strip_hop_by_hop(&mut parts.headers);
    Ok((parts, incoming, lease))
}

/// The body, or `None` where it is over the bound. One that arrives in one piece is not copied.
async fn read_whole(
    lease: &mut Lease,
    mut incoming: Incoming,
    bound: usize,
) -> Result<Option<Bytes>, hyper::Error> {
    let length = incoming.size_hint().exact();
    if length.is_some_and(|length| length > bound as u64) {
        return Ok(None);
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while !incoming.is_end_stream() {
        let Some(frame) = std::future::poll_fn(|cx| lease.poll_frame(&mut incoming, cx)).await else { break };
        // Trailers hold nothing the bus reads.
        let Ok(data) = frame?.into_data() else { continue };
        if first.len().max(rest.len()) + data.len() > bound {
            return Ok(None);
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            let wanted = length.map_or(2 * (first.len() + data.len()), |length| length as usize);
            rest.reserve(wanted.min(bound));
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&data);
    }
    Ok(Some(if rest.is_empty() { first } else { rest.freeze() }))
}

fn answer(parts: Parts, body: AnswerBody, endpoint: Arc<str>) -> Answer {
    let mocked = parts.headers.get("x-mocked").and_then(|value| value.to_str().ok());
    let mocked = mocked.filter(|name| name.len() <= 256).map(Box::from);
    Answer { status: parts.status.as_u16(), headers: parts.headers, body, endpoint, mocked }
}
