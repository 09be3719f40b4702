//! The fault that a request brings for itself, in the header `X-Mock-Fault`.
use super::Fault;
use crate::spec::{FaultKind, FaultSpec, Proto, WrongLength};

/// Reads `X-Mock-Fault`: a kind, and `status=503`, `after=2s`, `retryAfter=2s`, `field=data.name`, `skew=-10m`,
/// `length=shorter` behind semicolons.
///
/// # Errors
/// What it does not understand.
pub fn asked(header: &str) -> Result<Fault, String> {
    let mut parts = header.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let kind = FaultKind::named(name).ok_or_else(|| format!("X-Mock-Fault: there is no fault `{name}`"))?;
    if kind.is_beforehand(Proto::Http) || kind == FaultKind::Replay {
        return Err(format!("X-Mock-Fault: `{}` is no matter of one request; lay a dial", kind.name()));
    }
    let mut spec = FaultSpec::of(kind);
    for part in parts {
        setting(&mut spec, part).ok_or_else(|| format!("X-Mock-Fault: `{part}` is not understood"))?;
    }
    Fault::compile(&spec, "request").map_err(|wrong| {
        let (path, message) = wrong.into_iter().next().unwrap_or_default();
        format!("X-Mock-Fault: {path} {message}")
    })
}

fn setting(spec: &mut FaultSpec, part: &str) -> Option<()> {
    let (key, value) = part.split_once('=')?;
    match key {
        "status" => spec.status = Some(value.parse().ok().filter(|status| (400..=599).contains(status))?),
        "after" => spec.after = Some(value.parse().ok()?),
        "retryAfter" => spec.retry_after = Some(value.parse().ok()?),
        "field" => spec.field = Some(value.to_owned()),
        "skew" => spec.skew = Some(value.to_owned()),
        "length" => {
            spec.length = Some(match value {
                "longer" => WrongLength::Longer,
                "shorter" => WrongLength::Shorter,
                "zero" => WrongLength::Zero,
                "garbage" => WrongLength::Garbage,
                _ => return None,
            });
        }
        _ => return None,
    }
    Some(())
}
