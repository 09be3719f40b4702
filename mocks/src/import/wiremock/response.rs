//! What a mapping answers: status, headers, body, delay, fault.
use std::time::Duration as Time;

use base64::{Engine, engine::general_purpose::STANDARD};
use qiao_mappings::units::Duration;
use serde_json::Value;

use super::{
    super::{
        at::{At, Try},
        draft::slug,
    },
    Context, template,
};
use crate::spec::{Delay, FaultKind, FaultSpec, StubSpec};

/// Written by the server itself.
const OWN_HEADERS: [&str; 4] = ["content-length", "transfer-encoding", "connection", "keep-alive"];

pub fn respond(response: &At<'_>, stub: &mut StubSpec, context: &mut Context<'_>) -> Try<()> {
    response.only(&[
        "status",
        "headers",
        "body",
        "jsonBody",
        "base64Body",
        "bodyFileName",
        "fixedDelayMilliseconds",
        "delayDistribution",
        "chunkedDribbleDelay",
        "fault",
        "transformers",
        "statusMessage",
    ])?;
    let respond = &mut stub.respond;
    if let Some(status) = response.get("status") {
        respond.status = match u16::try_from(status.number()?) {
            Ok(code @ 200..=599) => Some(code),
            _ => return status.refuse("a status from 200 to 599 can be answered"),
        };
    }
    if let Some(message) = response.get("statusMessage") {
        let code = http::StatusCode::from_u16(respond.status.unwrap_or(200)).ok();
        let usual = code.and_then(|code| code.canonical_reason()).unwrap_or_default();
        if !message.text()?.is_empty() && message.text()? != usual {
            return message.refuse("a reason phrase of its own");
        }
    }
    let text = templating(response)?;
    for (name, value) in
        response.get("headers").map(|headers| headers.members()).transpose()?.unwrap_or_default()
    {
        let value = match value.value {
            Value::Array(values) if values.len() == 1 => value.items()?.remove(0),
            _ => value,
        };
        if !OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            respond.headers.insert(name.to_owned(), text(&value, value.text()?)?);
        }
    }
    body(response, stub, context, &text)?;
    stub.delay = delay(response)?;
    stub.fault = fault(response)?;
    Ok(())
}

/// How texts of the response become templates.
type Text = Box<dyn Fn(&At<'_>, &str) -> Try<String>>;

fn templating(response: &At<'_>) -> Try<Text> {
    let mut active = false;
    for transformer in response.get("transformers").map(|list| list.items()).transpose()?.unwrap_or_default()
    {
        match transformer.text()? {
            "response-template" => active = true,
            other => return transformer.refuse(format!("the transformer `{other}` is not supported")),
        }
    }
    Ok(if active {
        Box::new(template::translate)
    } else {
        Box::new(|_: &At<'_>, text: &str| Ok(text.replace("${", "$${")))
    })
}

fn body(response: &At<'_>, stub: &mut StubSpec, context: &mut Context<'_>, text: &Text) -> Try<()> {
    let bodies = ["body", "jsonBody", "base64Body", "bodyFileName"];
    if bodies.iter().filter(|key| response.get(key).is_some()).count() > 1 {
        return response.refuse("more than one body");
    }
    let respond = &mut stub.respond;
    if let Some(body) = response.get("body") {
        respond.text = Some(text(&body, body.text()?)?);
    } else if let Some(body) = response.get("jsonBody") {
        respond.json = Some(json(&body, body.value, text)?);
    } else if let Some(body) = response.get("base64Body") {
        let Ok(bytes) = STANDARD.decode(body.text()?) else { return body.refuse("not base64") };
        let name = format!("bodies/{}.bin", stub.id);
        context.bodies.insert(name.clone(), bytes);
        respond.body_file = Some(name);
    } else if let Some(name) = response.get("bodyFileName") {
        let path = format!("{}__files/{}", context.home, name.text()?.trim_start_matches('/'));
        let Some(bytes) = context.files.get(&path) else {
            return name.refuse(format!("the file {path} is not there"));
        };
        let templated = response.get("transformers").is_some();
        match std::str::from_utf8(bytes) {
            Ok(content) if templated => respond.text = Some(text(&name, content)?),
            _ => {
                let extension = path.rsplit('.').next().filter(|end| end.len() <= 5).unwrap_or("bin");
                let local = format!("bodies/{}.{}", slug(name.text()?), slug(extension));
                context.bodies.insert(local.clone(), bytes.clone());
                respond.body_file = Some(local);
            }
        }
    }
    Ok(())
}

fn json(at: &At<'_>, value: &Value, text: &Text) -> Try<Value> {
    Ok(match value {
        Value::String(written) => Value::String(text(at, written)?),
        Value::Array(values) => values.iter().map(|value| json(at, value, text)).collect::<Try<_>>()?,
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| Ok((name.clone(), json(at, value, text)?)));
            Value::Object(members.collect::<Try<_>>()?)
        }
        other => other.clone(),
    })
}

fn delay(response: &At<'_>) -> Try<Option<Delay>> {
    let millis = |at: &At<'_>| Ok(Duration(Time::from_millis(at.number()?)));
    let fixed = response.get("fixedDelayMilliseconds").map(|at| millis(&at)).transpose()?;
    let fixed = fixed.map(|fixed| Delay { fixed: Some(fixed), ..Delay::default() });
    let Some(spread) = response.get("delayDistribution") else { return Ok(fixed) };
    if fixed.is_some() {
        return spread.refuse("a distribution beside a fixed delay");
    }
    let part = |key: &str| match spread.get(key) {
        Some(part) => Ok(part),
        None => spread.refuse(format!("no `{key}`")),
    };
    Ok(Some(match part("type")?.text()? {
        "uniform" => Delay {
            from: Some(millis(&part("lower")?)?),
            to: Some(millis(&part("upper")?)?),
            ..Delay::default()
        },
        "lognormal" if spread.get("maxValue").is_none() => {
            let median = part("median")?;
            let whole = median.value.as_f64().map_or(0.0, f64::round);
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked by the engine's bound"
            )]
            let median = Duration(Time::from_millis(whole as u64));
            Delay { median: Some(median), sigma: part("sigma")?.value.as_f64(), ..Delay::default() }
        }
        other => return spread.refuse(format!("the distribution `{other}` is not supported")),
    }))
}

fn fault(response: &At<'_>) -> Try<Option<FaultSpec>> {
    let dribble = response.get("chunkedDribbleDelay");
    let after = dribble.as_ref().map(|dribble| match dribble.get("totalDuration") {
        Some(total) => total.number(),
        None => dribble.refuse("no `totalDuration`"),
    });
    let kind = match response.get("fault") {
        None if dribble.is_none() => return Ok(None),
        None => FaultKind::Drip,
        Some(fault) => match fault.text()? {
            "CONNECTION_RESET_BY_PEER" => FaultKind::Reset,
            other => return fault.refuse(format!("the fault `{other}` is not supported")),
        },
    };
    let after = after.transpose()?.map(|millis| Duration(Time::from_millis(millis)));
    Ok(Some(FaultSpec { after, ..FaultSpec::of(kind) }))
}
