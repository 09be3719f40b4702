//! Messages from users to a service provider, sent on command.
use std::sync::Arc;

use qiao_mappings::units::Duration;
use qiao_wire::sms::{Encoding, Reference, split};
use serde::{Deserialize, Serialize};

use super::{
    Outbound, Part, counted,
    hub::{Cargo, Parcel},
    local,
    settings::Account,
    site::{Here, Site},
    stamp,
};
use crate::server::Shared;

/// The furthest ahead that a message is planned.
const MAX_AFTER: std::time::Duration = std::time::Duration::from_secs(30 * 24 * 3600);
/// Parts of one message at most.
const MAX_PARTS: usize = 30;

/// A message from a user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Uplink {
    /// The carrier's listener; the partner's only one when left out.
    #[serde(default)]
    pub listener: Option<String>,
    /// The account; when left out the first whose numbers the message is for.
    #[serde(default)]
    pub account: Option<String>,
    /// The user's number.
    pub from: String,
    /// The service provider's number.
    pub to: String,
    /// For instance `TD`.
    pub text: String,
    #[serde(default)]
    pub service: String,
    /// ASCII or UCS2, whichever the text needs, when left out.
    #[serde(default)]
    pub encoding: Option<Format>,
    /// The number in the header of a long message's parts; drawn when left out.
    #[serde(default)]
    pub reference: Option<u16>,
    /// Whether that number takes 16 bits.
    #[serde(default)]
    pub wide: bool,
    /// By the mock partners' clock, at most 30d; at once when left out.
    #[serde(default)]
    pub after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    Ascii,
    Ucs2,
    Gbk,
}

/// What was planned.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Queued {
    pub listener: String,
    pub account: String,
    /// The ids of the parts, in order.
    pub ids: Vec<String>,
}

/// Plans an uplink message of a partner.
///
/// # Errors
/// Which part of it cannot be, and the remedy.
pub fn send(shared: &Arc<Shared>, partner: &str, uplink: &Uplink) -> Result<Queued, String> {
    let (site, here) = place(shared, partner, uplink.listener.as_deref())?;
    let account = account(&here, uplink)?;
    let after = uplink.after.map_or(std::time::Duration::ZERO, |after| after.0);
    if after > MAX_AFTER {
        return Err("after: at most 30d".into());
    }
    let encoding = match uplink.encoding {
        None => Encoding::for_text(&uplink.text),
        Some(Format::Ascii) => Encoding::Ascii,
        Some(Format::Ucs2) => Encoding::Ucs2,
        Some(Format::Gbk) => Encoding::Gbk,
    };
    let (_, drawn) = site.number(&here);
    let [.., high, low] = drawn.to_be_bytes();
    let reference = match (uplink.reference, uplink.wide) {
        (Some(reference), true) => Reference::Wide(reference),
        (Some(reference), false) => {
            let narrow = u8::try_from(reference).map_err(|_| "reference: above 255 it needs `wide: true`")?;
            Reference::Narrow(narrow)
        }
        (None, true) => Reference::Wide(u16::from_be_bytes([high, low])),
        (None, false) => Reference::Narrow(low),
    };
    let parts =
        split(&uplink.text, encoding, reference, MAX_PARTS).map_err(|error| format!("text: {error}"))?;
    let sent_ms = shared.clock.now_ms();
    let dialect = here.settings.dialect;
    let mut made = Vec::with_capacity(parts.len());
    for part in parts {
        let (second, number) = site.number(&here);
        let at = stamp(local(second * 1000));
        let id = dialect.message_id(here.settings.gateway, at, number, counted(number));
        let part = Part {
            id,
            from: uplink.from.clone(),
            to: uplink.to.clone(),
            service: uplink.service.clone(),
            has_header: part.has_header,
            format: encoding.code(),
            content: part.content,
            total: part.total,
            number: part.number,
            text: uplink.text.clone(),
            sent_ms,
        };
        let highest = here.settings.versions.first().copied().unwrap_or_default();
        dialect
            .write(counted(1), &Outbound::Uplink(&part), highest)
            .map_err(|error| format!("the message has no room in its layout: {error}"))?;
        made.push(part);
    }
    let ids = made.iter().map(|part| part.id.to_string()).collect();
    for part in made {
        if after.is_zero() {
            site.deliver(&account, Parcel::new(Cargo::Uplink(part)));
        } else {
            site.deliver_later(&account, Cargo::Uplink(part), after, None);
        }
    }
    Ok(Queued { listener: site.listener.to_string(), account: account.id.to_string(), ids })
}

fn place(shared: &Arc<Shared>, partner: &str, listener: Option<&str>) -> Result<(Site, Here), String> {
    let found = shared.partner(partner).ok_or_else(|| format!("there is no mock partner `{partner}`"))?;
    let mut gateways = found
        .listeners
        .iter()
        .filter(|known| known.carrier.is_some() && listener.is_none_or(|wanted| *known.id == *wanted));
    let (Some(first), None) = (gateways.next(), gateways.next()) else {
        return Err(match listener {
            Some(listener) => format!("`{partner}` has no carrier's listener `{listener}`"),
            None => format!("`{partner}` has not exactly one carrier's listener; name the `listener`"),
        });
    };
    let site =
        Site { shared: Arc::clone(shared), partner: Arc::clone(&found.id), listener: Arc::clone(&first.id) };
    let here = site.current().ok_or_else(|| format!("`{partner}` is stopped"))?;
    Ok((site, here))
}

fn account(here: &Here, uplink: &Uplink) -> Result<Arc<Account>, String> {
    let found = match &uplink.account {
        Some(id) => here.settings.account(id),
        None => here.settings.accounts.iter().find(|account| account.may_send_as(&uplink.to)),
    };
    found.cloned().ok_or_else(|| match &uplink.account {
        Some(id) => format!("there is no account `{id}`"),
        None => format!("no account has the number `{}`; name the `account`", uplink.to),
    })
}
