//! Logins: who, with which secret, in which version, on how many connections.
use std::{net::SocketAddr, sync::Arc, time::Duration};

use qiao_wire::Stamp;
use serde_json::json;
use time::{Date, Month, PrimitiveDateTime, Time};

use super::{
    Login, Outbound, Sequence,
    hub::AccountState,
    link::{How, Link},
    local,
    settings::{Account, Settings},
    site::{Here, Site},
    trouble,
    verdict::Verdict,
};
use crate::spec::FaultKind;

/// Who is logged in on a connection.
pub struct Member {
    pub account: Arc<Account>,
    pub state: Arc<AccountState>,
    pub sends: bool,
    pub receives: bool,
}

/// What a login amounts to before stubs are asked.
struct Checked {
    status: u32,
    why: &'static str,
    /// The version of the answer's layout.
    version: u8,
    member: Option<Member>,
    secret: Vec<u8>,
}

/// Answers a login; none where it is refused and the connection ends.
pub async fn login(
    site: &Site,
    here: &Here,
    link: &Arc<Link>,
    (sequence, login): (Sequence, &Login),
    peer: SocketAddr,
) -> Option<Member> {
    let checked = check(site, here, link, login);
    let session = checked.member.as_ref().map_or("", |member| &*member.account.session).to_owned();
    let document = json!({
        "protocol": here.settings.dialect.proto().name(),
        "account": login.account,
        "version": format!("{}.{}", login.version >> 4, login.version & 0x0F),
        "mode": login.mode,
        "timestamp": login.timestamp,
        "peer": peer.to_string(),
        "status": checked.status,
        "problem": checked.why,
    });
    let exchange = site.ask(here, ("LOGIN", "/login"), &session, &document);
    let asked = Verdict::read(&exchange.answer).result;
    let status = if asked == 0 { checked.status } else { asked };
    let fault = exchange.fault.as_deref();
    let secret = if fault.is_some_and(|fault| fault.kind == FaultKind::BadSignature) {
        b"?"
    } else {
        &checked.secret[..]
    };
    link.agree(checked.version);
    let highest = here.settings.versions.last().copied().unwrap_or_default();
    let answer = Outbound::LoginAnswer { status, login, secret, version: highest };
    tokio::time::sleep(exchange.delay).await;
    let member = match checked.member {
        Some(member) if status != 0 => {
            member.state.leave(link);
            None
        }
        member => member,
    };
    match link.frame(sequence, &answer) {
        Ok(mut frame) => match trouble::strike(fault, &mut frame) {
            Some(How::Whole) if member.is_none() => drop(link.send(frame, How::Last).await),
            Some(how) => drop(link.send(frame, how).await),
            // No answer: the connection stays, as with a gateway that hangs.
            None => link.closed().await,
        },
        Err(error) => tracing::warn!(%error, partner = %site.partner, "a login cannot be answered"),
    }
    member
}

fn check(site: &Site, here: &Here, link: &Arc<Link>, login: &Login) -> Checked {
    let settings = &here.settings;
    let (codes, dialect) = (settings.dialect.codes(), settings.dialect);
    let agreed = dialect.version(login.version);
    let version = agreed.unwrap_or_else(|| settings.versions.last().copied().unwrap_or_default());
    let refused = |status, why, secret| Checked { status, why, version, member: None, secret };
    let Some(account) = settings.account(&login.account) else {
        return refused(codes.unknown_account, "unknown account", Vec::new());
    };
    let secret = match account.secret.reveal_secret() {
        Ok(secret) => secret.to_vec(),
        Err(error) => {
            tracing::error!(%error, account = %account.id, partner = %site.partner, "the vault has not the secret of a mock gateway's account");
            return refused(codes.authentication, "the vault has not the account's secret", Vec::new());
        }
    };
    if !dialect.is_authentic(login, &secret) {
        return refused(codes.authentication, "another secret", secret);
    }
    if !agreed.is_some_and(|version| settings.versions.contains(&version)) {
        return refused(codes.version, "version not spoken", secret);
    }
    if !is_timely(settings, login, site.shared.clock.now_ms()) {
        return refused(codes.authentication, "timestamp too far from the clock", secret);
    }
    let Some((sends, receives)) = dialect.directions(login.mode) else {
        return refused(codes.mode, "mode not known", secret);
    };
    let state = site.account(&account.id);
    if !state.join(link, account.connections) {
        return refused(codes.connections, "too many connections", secret);
    }
    let member = Member { account: Arc::clone(account), state, sends, receives };
    Checked { status: 0, why: "", version, member: Some(member), secret }
}

/// Whether the timestamp is near the clock: it has no year, so that the nearest one is meant.
fn is_timely(settings: &Settings, login: &Login, now_ms: i64) -> bool {
    let (Some(skew), Some(digits)) = (settings.clock_skew, login.timestamp) else { return true };
    let Some(stamp) = Stamp::from_digits(digits) else { return false };
    let now = local(now_ms);
    let away = |year: i32| {
        let [month, day, hour, minute, second] = stamp.parts();
        let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
        let time = Time::from_hms(hour, minute, second.min(59)).ok()?;
        let at = PrimitiveDateTime::new(date, time).assume_offset(now.offset());
        Duration::try_from((at - now).abs()).ok()
    };
    (-1..=1).filter_map(|years| away(now.year() + years)).any(|away| away <= skew)
}
