//! Queues of the broker (AMQP 0-9-1) that partners listen on: each message is a request with the method `AMQP`, its answer goes to
//! `reply-to` or to where the listener says. A message is acknowledged when the broker has confirmed its answer.
mod message;

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use lapin::{
    Connection, ConnectionProperties,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions},
    types::FieldTable,
};
use parking_lot::Mutex;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::{BrokerUrl, Shared, tcp};
use crate::{
    catalogue::Catalogue,
    exchange::{Exchange, exchange},
    partner::Partner,
    spec::{FaultKind, listen::QueueSpec},
};

/// For connecting and beginning to listen together.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two tries to listen, doubled up to the last.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LAST_WAIT: Duration = Duration::from_secs(30);
/// How long a stopped partner keeps a message before it goes back.
const STOPPED: Duration = Duration::from_secs(1);

/// Partner and listener.
type Name = (Arc<str>, Arc<str>);

/// The queues that are listened on.
pub struct Queues {
    broker: Option<BrokerUrl>,
    handle: Handle,
    open: Mutex<HashMap<Name, Open>>,
}

struct Open {
    spec: Arc<QueueSpec>,
    closing: watch::Sender<bool>,
}

impl Queues {
    pub fn new(broker: Option<BrokerUrl>, handle: Handle) -> Self {
        Self { broker, handle, open: Mutex::default() }
    }

    /// Listens on what the catalogue has and is not listened on yet, and no longer on what it has no more.
    pub fn adopt(&self, catalogue: &Catalogue, shared: &Arc<Shared>) {
        let wanted: HashMap<Name, Arc<QueueSpec>> = catalogue
            .partners
            .iter()
            .flat_map(|partner| {
                let queues = partner.listeners.iter().filter_map(|listener| {
                    let name = (Arc::clone(&partner.id), Arc::clone(&listener.id));
                    Some((name, Arc::clone(listener.queue.as_ref()?)))
                });
                queues.collect::<Vec<_>>()
            })
            .collect();
        let mut open = self.open.lock();
        open.retain(|name, queue| {
            let stays = wanted.get(name).is_some_and(|wanted| *wanted == queue.spec);
            if !stays {
                queue.closing.send_replace(true);
            }
            stays
        });
        for (name, spec) in wanted {
            if open.contains_key(&name) {
                continue;
            }
            let Some(broker) = self.broker.clone() else {
                tracing::warn!(partner = %name.0, listener = %name.1, "no queue is listened on: the settings name no broker (`mocks.broker`)");
                continue;
            };
            let (closing, closed) = watch::channel(false);
            let listening = Listening {
                shared: Arc::downgrade(shared),
                name: name.clone(),
                spec: Arc::clone(&spec),
                broker,
            };
            self.handle.spawn(keep(Arc::new(listening), closed));
            open.insert(name, Open { spec, closing });
        }
    }

    /// Listens no more; messages that are not acknowledged go back to their queues.
    pub fn close(&self) {
        for (_, queue) in self.open.lock().drain() {
            queue.closing.send_replace(true);
        }
    }
}

/// One queue listened on.
struct Listening {
    /// Weak: a queue must not keep the server alive.
    shared: Weak<Shared>,
    name: Name,
    spec: Arc<QueueSpec>,
    broker: BrokerUrl,
}

impl Listening {
    /// The partner as it is now and the listener's number; none once it is stopped or gone.
    fn current(&self, shared: &Shared) -> Option<(Arc<Partner>, usize)> {
        let partner = shared.partner(&self.name.0)?;
        let number = partner.listeners.iter().position(|listener| listener.id == self.name.1)?;
        partner.runtime.is_running().then_some((partner, number))
    }
}

/// Listens until it is told to close, and again whenever the connection has ended.
async fn keep(listening: Arc<Listening>, mut closing: watch::Receiver<bool>) {
    let mut wait = FIRST_WAIT;
    loop {
        let began = Instant::now();
        let ended = tokio::select! {
            ended = listen(&listening) => ended,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        if listening.shared.strong_count() == 0 {
            return;
        }
        // Ok: a fault dial has dropped the connection.
        let Err(error) = ended else { continue };
        let (partner, listener) = &listening.name;
        tracing::warn!(%partner, %listener, %error, "a queue is not listened on; tried again");
        if began.elapsed() > LAST_WAIT * 2 {
            wait = FIRST_WAIT;
        }
        tokio::select! {
            () = sleep(wait) => {}
            _ = closing.wait_for(|closing| *closing) => return,
        }
        wait = (wait * 2).min(LAST_WAIT);
    }
}

async fn listen(listening: &Arc<Listening>) -> Result<(), String> {
    let begun = timeout(PATIENCE, begin(listening)).await;
    let (connection, mut messages) = begun.map_err(|_| format!("no answer within {PATIENCE:?}"))??;
    let (drop_it, mut dropped) = mpsc::channel(1);
    loop {
        let message = tokio::select! {
            message = messages.next() => message,
            _ = dropped.recv() => {
                // Whatever the broker says to that: the connection is gone.
                drop(connection.close(320, "dropped by a fault dial".into()).await);
                return Ok(());
            }
        };
        let message = message.ok_or("the broker has ended it")?;
        let message = message.map_err(|error| error.to_string())?;
        // The broker holds back what is above `prefetch`.
        tokio::spawn(serve(Arc::clone(listening), message, drop_it.clone()));
    }
}

async fn begin(listening: &Listening) -> Result<(Connection, lapin::Consumer), String> {
    let name = format!("qiao-mocks {}/{}", listening.name.0, listening.name.1);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let connection = Connection::connect(listening.broker.text(), properties).await;
    let connection = connection.map_err(|error| format!("the broker cannot be reached: {error}"))?;
    let failed = |error: lapin::Error| format!("the queue `{}`: {error}", listening.spec.queue);
    let channel = connection.create_channel().await.map_err(failed)?;
    let prefetch = listening.spec.prefetch.unwrap_or(1);
    channel.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(failed)?;
    let (queue, arguments) = (listening.spec.queue.as_str().into(), FieldTable::default());
    let consumer = channel.basic_consume(queue, "".into(), BasicConsumeOptions::default(), arguments);
    Ok((connection, consumer.await.map_err(failed)?))
}

/// What becomes of a message.
enum Fate {
    Acknowledged,
    /// Back to its queue, to come again.
    Requeued,
    /// Refused for good: to the dead letters where the queue has such.
    Refused,
    /// The connection is dropped, so that the broker takes it back.
    Dropped,
}

async fn serve(listening: Arc<Listening>, message: Delivery, drop_it: mpsc::Sender<()>) {
    let Some(shared) = listening.shared.upgrade() else { return };
    let settled = match fate(&listening, &shared, &message).await {
        Fate::Acknowledged => message.ack(BasicAckOptions::default()).await,
        Fate::Requeued => {
            message.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await
        }
        Fate::Refused => {
            message.nack(BasicNackOptions { requeue: false, ..BasicNackOptions::default() }).await
        }
        Fate::Dropped => return drop_it.send(()).await.unwrap_or_default(),
    };
    if let Err(error) = settled {
        tracing::debug!(%error, "a message was not settled: its connection is gone, and it comes again");
    }
}

async fn fate(listening: &Listening, shared: &Arc<Shared>, message: &Delivery) -> Fate {
    let started = Instant::now();
    let Some((partner, number)) = listening.current(shared) else {
        sleep(STOPPED).await;
        return Fate::Requeued;
    };
    if message.data.len() > partner.listeners[number].body_bytes {
        message::too_long(shared, &partner, number, message);
        return Fate::Refused;
    }
    let incoming = message::incoming(shared, &partner, message);
    let has_fallback = partner.fallback.is_some();
    let Exchange { answer, fault, delay } = exchange(shared, partner, number, incoming, started, tcp::twist);
    if !delay.is_zero() {
        sleep(delay).await;
    }
    let struck = fault.as_deref().filter(|fault| fault.business.is_none());
    let mut times = 1;
    match struck.map(|fault| (fault.kind, fault)) {
        Some((FaultKind::NoAnswer, fault)) => {
            sleep(fault.after).await;
            return Fate::Requeued;
        }
        Some((FaultKind::Reset, fault)) => {
            sleep(fault.after).await;
            return Fate::Dropped;
        }
        Some((FaultKind::Throttle, fault)) => {
            sleep(Duration::from_secs(fault.retry_after(shared.clock.now_ms()))).await;
            return Fate::Requeued;
        }
        Some((FaultKind::Refused, _)) => return Fate::Refused,
        Some((FaultKind::Never, _)) => times = 0,
        Some((FaultKind::Duplicate, _)) => times = 2,
        // A message that nothing answers is no work done.
        _ if answer.headers.contains_key("x-mock-miss") && !has_fallback => return Fate::Refused,
        _ => {}
    }
    for _ in 0..times {
        let Some(answer) = message::answer(&listening.spec, message, &answer) else { break };
        if let Err(error) = shared.sender.publish_answer(answer).await {
            let (partner, listener) = &listening.name;
            tracing::warn!(%partner, %listener, %error, "an answer did not reach the broker, or nobody waits for it");
        }
    }
    Fate::Acknowledged
}
