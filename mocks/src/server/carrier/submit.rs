//! Messages to users: checked, put together, answered by stubs; their reports scheduled.
use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use qiao_wire::sms::Encoding;
use serde_json::{Value, json};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    Outbound, Report, Sequence, Submit,
    assembly::{Content, Taken},
    fate::Fate,
    hub::{Cargo, Counts, Parcel},
    link::{How, Link},
    local,
    login::Member,
    session::Flow,
    settings::Account,
    site::{Here, Site},
    stamp, trouble,
    verdict::{ReportOrder, Verdict},
};
use crate::{
    entropy::Entropy,
    spec::{FaultKind, carrier::Overrun},
};

/// Bytes of a message's beginning that reports repeat.
const BEGINNING: usize = 20;

/// A message on its way to its answer.
struct Answer {
    site: Site,
    link: Arc<Link>,
    account: Arc<Account>,
    /// None where the message is never answered.
    frame: Option<(Vec<u8>, How)>,
    delay: Duration,
    /// T.
    patience: Duration,
    early: Vec<Report>,
    later: Vec<(Report, Duration)>,
}

/// Takes one message.
pub async fn submit(
    site: &Site,
    here: &Here,
    link: &Arc<Link>,
    member: &Member,
    (sequence, submit): (Sequence, Result<Box<Submit>, String>),
) -> Flow {
    let (codes, account) = (here.settings.dialect.codes(), &member.account);
    let (second, number) = site.number(here);
    let at = stamp(local(second * 1000));
    let id = here.settings.dialect.message_id(here.settings.gateway, at, number, sequence);
    let unanswered = link.unanswered.fetch_add(1, Ordering::AcqRel) + 1;
    let overrun = unanswered > account.window;
    if overrun && here.settings.overrun == Overrun::Drop {
        site.note(&account.session, "more messages are unanswered than the window allows");
        return Flow::End;
    }
    let mut document = json!({
        "protocol": here.settings.dialect.proto().name(),
        "account": &*account.id,
        "id": id.to_string(),
        "sequence": sequence.counter,
    });
    let (submit, mut refusal) = match submit {
        Ok(submit) => {
            describe(&submit, &mut document);
            let refusal = refusal(here, member, &submit, overrun);
            (Some(submit), refusal)
        }
        Err(problem) => {
            document["problem"] = Value::from(problem);
            (None, Some((codes.structure, "the message does not follow its layout")))
        }
    };
    let now_ms = site.shared.clock.now_ms();
    let mut parts = Vec::new();
    if let (Some(submit), None) = (&submit, refusal) {
        let taken = Taken { id, wanted: submit.wanted, submitted_ms: now_ms };
        let content = member.state.long.lock().take(submit, taken, now_ms);
        content.describe(&mut document);
        match content {
            Content::Whole { parts: whole, .. } => parts = whole,
            Content::Part { .. } => {}
            Content::Broken(_) => refusal = Some((codes.structure, "the user data header is broken")),
        }
    }
    if let Some((code, why)) = refusal {
        document["refused"] = Value::from(code);
        document["why"] = Value::from(why);
    }
    let path = if refusal.is_some() { "/refused" } else { "/submit" };
    let exchange = site.ask(here, ("SUBMIT", path), &account.session, &document);
    let verdict = Verdict::read(&exchange.answer);
    let result = refusal.map_or(verdict.result, |(code, _)| code);
    let fault = exchange.fault.as_deref();
    let kind = fault.map(|fault| fault.kind);
    let counts = &member.state.counts;
    Counts::add(if result == 0 { &counts.accepted } else { &counts.refused });
    // These three are about the report alone.
    let of_report = matches!(kind, Some(FaultKind::Duplicate | FaultKind::OutOfOrder | FaultKind::Never));
    let frame = match link.frame(sequence, &Outbound::SubmitAnswer { id, result }) {
        Ok(mut frame) => trouble::strike(fault.filter(|_| !of_report), &mut frame).map(|how| (frame, how)),
        Err(error) => {
            tracing::warn!(%error, partner = %site.partner, "a message cannot be answered");
            None
        }
    };
    let mut answer = Answer {
        site: site.clone(),
        link: Arc::clone(link),
        account: Arc::clone(account),
        frame,
        delay: exchange.delay,
        patience: here.settings.answer,
        early: Vec::new(),
        later: Vec::new(),
    };
    if let (Some(submit), 0) = (&submit, result) {
        let text = document["text"].as_str().unwrap_or_default();
        plan(&mut answer, here, &parts, submit, text, (&verdict.report, kind.filter(|_| of_report)));
    }
    if answer.delay.is_zero() && answer.early.is_empty() && answer.frame.is_some() {
        answer.finish().await;
    } else {
        tokio::spawn(answer.finish());
    }
    Flow::On
}

impl Answer {
    async fn finish(self) {
        for report in self.early {
            let (told, written) = oneshot::channel();
            let parcel = Parcel { written: Some(told), ..Parcel::new(Cargo::Report(report)) };
            self.site.deliver(&self.account, parcel);
            // Where the account is away the answer goes first after all.
            drop(timeout(self.patience, written).await);
        }
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let (opens, gate) = watch::channel(false);
        let (at_once, later): (Vec<_>, Vec<_>) =
            self.later.into_iter().partition(|(_, after)| after.is_zero());
        // Planned before the answer: whoever has the answer can move the clock to the report.
        for (report, after) in later {
            self.site.deliver_later(&self.account, Cargo::Report(report), after, Some(gate.clone()));
        }
        let silent = self.frame.is_none();
        if let Some((frame, how)) = self.frame {
            self.link.send(frame, how).await;
        }
        opens.send_replace(true);
        for (report, _) in at_once {
            self.site.deliver(&self.account, Parcel::new(Cargo::Report(report)));
        }
        if silent {
            // The peer counts it as unanswered until it gives up.
            tokio::time::sleep(self.patience).await;
        }
        self.link.unanswered.fetch_sub(1, Ordering::AcqRel);
    }
}

fn describe(submit: &Submit, document: &mut Value) {
    document["source"] = json!(submit.source);
    document["destination"] = json!(submit.destinations.first());
    document["destinations"] = json!(submit.destinations);
    document["service"] = json!(submit.service);
    document["format"] = json!(submit.format);
    document["report"] = Value::from(submit.wanted.0 || submit.wanted.1);
    document["fields"] = submit.fields.clone();
}

/// Why a gateway refuses a message of itself.
fn refusal(here: &Here, member: &Member, submit: &Submit, overrun: bool) -> Option<(u32, &'static str)> {
    let codes = here.settings.dialect.codes();
    let encoding = Encoding::of(submit.format);
    let most = encoding.map_or(140, Encoding::single_bytes);
    if overrun {
        Some((codes.busy, "more messages are unanswered than the window allows"))
    } else if !member.sends {
        Some((codes.mode, "the connection is for receiving only"))
    } else if !member.account.may_send_as(&submit.source) {
        Some((codes.source_number, "the source number is not the account's"))
    } else if !submit.well_addressed {
        Some((codes.destination_number, "a destination has another form"))
    } else if submit.content.len() > most {
        Some((codes.too_long, "the content is longer than one part may be"))
    } else {
        None
    }
}

/// Draws the fate of each part for each number.
fn plan(
    answer: &mut Answer,
    here: &Here,
    parts: &[Taken],
    submit: &Submit,
    text: &str,
    (order, fault): (&ReportOrder, Option<FaultKind>),
) {
    let beginning = submit.content[..submit.content.len().min(BEGINNING)].to_vec();
    for destination in &submit.destinations {
        let entropy = Entropy::of(
            here.partner.seed,
            &[
                answer.account.session.as_bytes(),
                answer.site.partner.as_bytes(),
                answer.site.listener.as_bytes(),
                b"report",
                answer.account.id.as_bytes(),
                destination.as_bytes(),
                text.as_bytes(),
            ],
            0,
        );
        let fate = Fate::draw(&here.settings.reports, order, fault, &entropy);
        for part in parts {
            let wanted = if fate.stat == "DELIVRD" { part.wanted.0 } else { part.wanted.1 };
            let report = Report {
                id: part.id,
                source: submit.source.clone(),
                destination: destination.clone(),
                stat: fate.stat.clone(),
                error: fate.error,
                submitted_ms: part.submitted_ms,
                done_ms: part.submitted_ms,
                text: beginning.clone(),
            };
            for turn in 0..if wanted { fate.times } else { 0 } {
                // Before the answer its own id is not known to the peer yet: once early is enough.
                if fate.early && turn == 0 {
                    answer.early.push(report.clone());
                } else {
                    answer.later.push((report.clone(), fate.after));
                }
            }
        }
    }
}
