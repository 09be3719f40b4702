//! One connection of a service provider: frames in, link tests, the end.
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use qiao_wire::frame::{FrameDecoder, FrameSpec};
use serde_json::json;
use tokio::{
    io::AsyncReadExt,
    net::{TcpStream, tcp::OwnedReadHalf},
};

use super::{
    Dialect, Inbound, Outbound, Sequence, callback,
    deliver::pump,
    keepalive::{Due, KeepAlive},
    link::{How, Link},
    local,
    login::{Member, login},
    site::{Here, Site},
    stamp,
    submit::submit,
    trouble,
};
use crate::server::sockets::Place;

/// A connection must log in within this time.
const LOGIN: Duration = Duration::from_secs(60);

/// Bytes read at once.
const READ: usize = 4096;

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    On,
    End,
}

/// Serves one connection of a service provider.
pub fn serve(
    dialect: &'static dyn Dialect,
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let site = Site::from(&place);
        let Some(here) = place.current().and_then(|_| site.current()) else {
            // A stopped partner resets whoever comes.
            drop(socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)));
            return;
        };
        let (read, write) = stream.into_split();
        let version = here.settings.versions.last().copied().unwrap_or_default();
        let window = here.settings.accounts.iter().map(|account| account.window).max().unwrap_or(1);
        let link = Link::open(dialect, version, write, usize::try_from(window).unwrap_or(1));
        let mut session = Session {
            frames: Frames::new(read, dialect.frame()),
            alive: KeepAlive::new(LOGIN, LOGIN, 0, Instant::now()),
            site,
            link,
            peer,
            member: None,
        };
        session.run(place).await;
        session.link.close();
        if let Some(member) = &session.member {
            member.state.leave(&session.link);
        }
    })
}

struct Session {
    frames: Frames,
    alive: KeepAlive,
    site: Site,
    link: Arc<Link>,
    peer: SocketAddr,
    member: Option<Member>,
}

impl Session {
    async fn run(&mut self, mut place: Place) {
        loop {
            let until = match self.alive.due(Instant::now()) {
                Due::Wait(until) => until,
                Due::Test => {
                    self.test().await;
                    continue;
                }
                Due::GiveUp => {
                    self.site.note(self.session_name(), "the peer was silent for too long");
                    return;
                }
            };
            let link = Arc::clone(&self.link);
            tokio::select! {
                frame = self.frames.next() => match frame {
                    Ok(Some(frame)) => {
                        self.alive.heard(Instant::now());
                        if self.handle(&frame).await == Flow::End {
                            return;
                        }
                    }
                    Ok(None) => return,
                    Err(problem) => {
                        self.site.note(self.session_name(), &problem);
                        return;
                    }
                },
                () = tokio::time::sleep_until(until.into()) => {}
                () = link.closed() => return,
                () = place.closing() => return,
            }
        }
    }

    fn session_name(&self) -> &str {
        self.member.as_ref().map_or("", |member| &member.account.session)
    }

    async fn test(&self) {
        let Some(here) = self.site.current() else { return self.link.close() };
        let counter = self.link.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let at = stamp(local(self.site.shared.clock.now_ms()));
        let sequence = here.settings.dialect.sequence(here.settings.gateway, at, counter);
        self.send(sequence, &Outbound::Test, How::Whole).await;
    }

    async fn send(&self, sequence: Sequence, message: &Outbound<'_>, how: How) {
        match self.link.frame(sequence, message) {
            Ok(frame) => drop(self.link.send(frame, how).await),
            Err(error) => tracing::warn!(%error, "a carrier's message cannot be written"),
        }
    }

    async fn handle(&mut self, frame: &[u8]) -> Flow {
        let Some(here) = self.site.current() else {
            self.link.send(Vec::new(), How::Reset(Duration::ZERO)).await;
            self.link.closed().await;
            return Flow::End;
        };
        let (sequence, inbound) = match self.link.dialect.read(frame, self.link.version()) {
            Ok(read) => read,
            Err(error) => {
                self.site.note(self.session_name(), &error.to_string());
                return Flow::End;
            }
        };
        match (inbound, &self.member) {
            (Inbound::Login(asked), None) => {
                let member = login(&self.site, &here, &self.link, (sequence, &asked), self.peer).await;
                let Some(member) = member else {
                    // The refusal is written before the connection ends.
                    self.link.closed().await;
                    return Flow::End;
                };
                self.begin(&here, member);
                Flow::On
            }
            (Inbound::Leave, _) => {
                self.send(sequence, &Outbound::LeaveAnswer, How::Last).await;
                self.link.closed().await;
                Flow::End
            }
            (_, None) => {
                self.site.note("", "the peer is not logged in");
                Flow::End
            }
            (inbound, Some(member)) => self.member_says(&here, member, sequence, inbound).await,
        }
    }

    async fn member_says(&self, here: &Here, member: &Member, sequence: Sequence, inbound: Inbound) -> Flow {
        match inbound {
            Inbound::Submit(message) => {
                return submit(&self.site, here, &self.link, member, (sequence, Ok(message))).await;
            }
            Inbound::Unreadable(error) => {
                let problem = Err(error.to_string());
                return submit(&self.site, here, &self.link, member, (sequence, problem)).await;
            }
            Inbound::Test => {
                let document =
                    json!({"protocol": here.settings.dialect.proto().name(), "account": &*member.account.id});
                let exchange = self.site.ask(here, ("TEST", "/test"), &member.account.session, &document);
                tokio::time::sleep(exchange.delay).await;
                if let Ok(mut frame) = self.link.frame(sequence, &Outbound::TestAnswer)
                    && let Some(how) = trouble::strike(exchange.fault.as_deref(), &mut frame)
                {
                    self.link.send(frame, how).await;
                }
            }
            Inbound::Answer(result) => self.link.answered(sequence, result),
            Inbound::Other(Some(answer)) => drop(self.link.send(answer, How::Whole).await),
            Inbound::Other(None) => {}
            Inbound::Login(_) | Inbound::Leave => {
                self.site.note(&member.account.session, "logged in already");
                return Flow::End;
            }
        }
        Flow::On
    }

    /// From the login on: idle time as agreed, and deliveries.
    fn begin(&mut self, here: &Here, member: Member) {
        let settings = &here.settings;
        let tries = if settings.dialect.tests_links() { settings.tries } else { 0 };
        self.alive = KeepAlive::new(settings.idle, settings.answer, tries, Instant::now());
        if settings.dialect.calls_back() {
            if member.state.waiting() > 0 {
                callback::ensure(&self.site, &member.account, &member.state);
            }
        } else if member.receives {
            let (site, link) = (self.site.clone(), Arc::clone(&self.link));
            tokio::spawn(pump(site, link, Arc::clone(&member.account), None));
        }
        self.member = Some(member);
    }
}

/// The frames of one connection, one at a time, within the bound of its framing.
pub struct Frames {
    half: OwnedReadHalf,
    buffer: BytesMut,
    decoder: Option<FrameDecoder>,
}

impl Frames {
    pub fn new(half: OwnedReadHalf, spec: FrameSpec) -> Self {
        Self { half, buffer: BytesMut::new(), decoder: spec.compile().ok().map(FrameDecoder::new) }
    }

    /// The next frame; none at the end of the stream. May be dropped and called again.
    ///
    /// # Errors
    /// Bytes that cannot become a frame, an end in the middle of one.
    pub async fn next(&mut self) -> Result<Option<Bytes>, String> {
        let Some(decoder) = &mut self.decoder else { return Err("the protocol's framing is broken".into()) };
        loop {
            if let Some(frame) = decoder.decode(&mut self.buffer).map_err(|error| error.to_string())? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(READ);
            match self.half.read_buf(&mut self.buffer).await {
                Ok(0) => {
                    return decoder.finish(&self.buffer).map(|()| None).map_err(|error| error.to_string());
                }
                Ok(_) => {}
                // A peer that resets has left.
                Err(_) => return Ok(None),
            }
        }
    }
}
