//! SGIP: the connection that the gateway opens to the service provider's own listener, for reports and uplink messages.
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::json;
use tokio::{net::TcpStream, time::timeout};

use super::{
    Inbound, Outbound,
    deliver::pump,
    hub::AccountState,
    link::{How, Link},
    local,
    session::Frames,
    settings::Account,
    site::{Here, Site},
    stamp, trouble,
    verdict::Verdict,
};

/// Between two tries to reach the service provider, at most.
const PAUSE: Duration = Duration::from_secs(5);

/// Opens the connection unless it is open or being opened. What waits goes over it.
pub fn ensure(site: &Site, account: &Arc<Account>, state: &Arc<AccountState>) {
    if account.callback.is_some() && !state.calling.swap(true, Ordering::AcqRel) {
        tokio::spawn(run(site.clone(), Arc::clone(account), Arc::clone(state)));
    }
}

async fn run(site: Site, account: Arc<Account>, state: Arc<AccountState>) {
    let mut failed = 0;
    while let Some(here) = site.current() {
        // What is written of the account now, unless it is gone.
        let account = here.settings.account(&account.id).unwrap_or(&account);
        if call(&site, &here, account).await {
            failed = 0;
            if state.waiting() == 0 {
                break;
            }
            continue;
        }
        failed += 1;
        if failed >= here.settings.tries {
            // What waits is kept for the next delivery or the provider's next login.
            state.calling.store(false, Ordering::Release);
            return;
        }
        tokio::time::sleep(here.settings.answer.min(PAUSE)).await;
    }
    state.calling.store(false, Ordering::Release);
    if state.waiting() > 0 && site.current().is_some() {
        // It came between the last look and the flag.
        ensure(&site, &account, &state);
    }
}

/// One connection from Bind to Unbind; false where none came about.
async fn call(site: &Site, here: &Here, account: &Arc<Account>) -> bool {
    let (Some(callback), settings) = (&account.callback, &here.settings) else { return false };
    let document = json!({
        "protocol": settings.dialect.proto().name(), "account": &*account.id,
        "address": callback.address, "name": callback.name,
    });
    let exchange = site.ask(here, ("BIND", "/callback"), &account.session, &document);
    tokio::time::sleep(exchange.delay).await;
    let mut nothing = vec![0; 12];
    let strikes = trouble::strike(exchange.fault.as_deref(), &mut nothing);
    if !matches!(strikes, Some(How::Whole)) || Verdict::read(&exchange.answer).result != 0 {
        return false;
    }
    let secret = match callback.secret.reveal_secret() {
        Ok(secret) => secret,
        Err(error) => {
            tracing::error!(%error, account = %account.id, partner = %site.partner, "the vault has not the secret of a mock gateway's callback");
            return false;
        }
    };
    let stream = match timeout(settings.answer, TcpStream::connect(&callback.address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, address = %callback.address, "the service provider cannot be reached");
            return false;
        }
        Err(_) => return false,
    };
    drop(stream.set_nodelay(true));
    let (read, write) = stream.into_split();
    let version = settings.versions.last().copied().unwrap_or_default();
    let window = usize::try_from(account.window).unwrap_or(1);
    let link = Link::open(settings.dialect, version, write, window);
    tokio::spawn(listen(Frames::new(read, settings.dialect.frame()), Arc::clone(&link)));
    let bind = Outbound::Bind { name: &callback.name, secret: &secret };
    let bound = ask(site, here, &link, &bind).await == Some(0);
    if bound {
        pump(site.clone(), Arc::clone(&link), Arc::clone(account), Some(settings.idle)).await;
        // What was sent may still be answered.
        let patience = settings.answer * settings.tries;
        let all = link.room.acquire_many(account.window);
        drop(timeout(patience, all).await);
        if !link.is_closed() {
            ask(site, here, &link, &Outbound::Leave).await;
        }
    }
    link.close();
    bound
}

/// Sends a request and waits for the result that answers it.
async fn ask(site: &Site, here: &Here, link: &Link, message: &Outbound<'_>) -> Option<u32> {
    let counter = link.counter.fetch_add(1, Ordering::Relaxed) + 1;
    let at = stamp(local(site.shared.clock.now_ms()));
    let sequence = here.settings.dialect.sequence(here.settings.gateway, at, counter);
    let frame = link.frame(sequence, message).ok()?;
    let answer = link.expect(sequence);
    if !link.send(frame, How::Whole).await {
        return None;
    }
    tokio::select! {
        answer = timeout(here.settings.answer, answer) => answer.ok()?.ok(),
        () = link.closed() => None,
    }
}

/// Reads what the service provider sends on the gateway's connection: answers, and its leave.
async fn listen(mut frames: Frames, link: Arc<Link>) {
    loop {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            () = link.closed() => return,
        };
        let Ok(Some(frame)) = frame else { break };
        match link.dialect.read(&frame, link.version()) {
            Ok((sequence, Inbound::Answer(result))) => link.answered(sequence, result),
            Ok((sequence, Inbound::Leave)) => {
                if let Ok(frame) = link.frame(sequence, &Outbound::LeaveAnswer) {
                    link.send(frame, How::Last).await;
                }
                break;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "what the service provider sent is no message");
                break;
            }
        }
    }
    link.close();
}
