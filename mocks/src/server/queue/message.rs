//! Messages of queues as requests, and answers as messages.
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use lapin::{message::Delivery, types::AMQPValue};

use super::super::Shared;
use crate::{
    answer::Rendered,
    exchange::note,
    facts::Incoming,
    journal::{Body, Entry},
    partner::Partner,
    pushes::broker::Message,
    spec::listen::QueueSpec,
};

/// The request that a message is: its properties and headers are the headers.
pub fn incoming(shared: &Shared, partner: &Partner, message: &Delivery) -> Incoming {
    let headers = headers(message);
    let named = headers.get("x-mock-session").and_then(|value| value.to_str().ok());
    let session = shared.session_of(&partner.id, named, None);
    Incoming {
        method: Method::from_bytes(b"AMQP").expect("letters are a method"),
        path: "/".into(),
        query: None,
        headers,
        body: message.data.clone().into(),
        session,
    }
}

fn headers(message: &Delivery) -> HeaderMap {
    let properties = &message.properties;
    let mut headers = HeaderMap::new();
    let mut add = |name: &str, text: &str| {
        let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes());
        // What is no header in HTTP is none here.
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(text)) {
            headers.append(name, value);
        }
    };
    let known = [
        ("content-type", properties.content_type()),
        ("correlation-id", properties.correlation_id()),
        ("message-id", properties.message_id()),
        ("reply-to", properties.reply_to()),
    ];
    for (name, value) in known {
        value.iter().for_each(|value| add(name, value.as_str()));
    }
    add("redelivered", if message.redelivered { "true" } else { "false" });
    add("routing-key", message.routing_key.as_str());
    for (name, value) in properties.headers().iter().flat_map(|table| table.inner()) {
        match value {
            AMQPValue::LongString(text) => add(name.as_str(), &String::from_utf8_lossy(text.as_bytes())),
            AMQPValue::ShortString(text) => add(name.as_str(), text.as_str()),
            AMQPValue::Boolean(value) => add(name.as_str(), &value.to_string()),
            AMQPValue::LongInt(value) => add(name.as_str(), &value.to_string()),
            AMQPValue::LongLongInt(value) => add(name.as_str(), &value.to_string()),
            _ => {}
        }
    }
    headers
}

/// The answer's message; none where nobody is to get it.
pub fn answer(spec: &QueueSpec, message: &Delivery, answer: &Rendered) -> Option<Message> {
    let asked = &message.properties;
    let (exchange, routing_key) = match (asked.reply_to(), &spec.answer) {
        (Some(queue), _) => (String::new(), queue.as_str().to_owned()),
        (None, Some(route)) => (route.exchange.clone(), route.routing_key.clone()),
        (None, None) => return None,
    };
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = answer.headers.iter().filter(|(name, _)| *name != CONTENT_TYPE);
    let correlation = asked.correlation_id().as_ref().or(asked.message_id().as_ref());
    Some(Message {
        exchange,
        routing_key,
        content_type: answer.headers.get(CONTENT_TYPE).map(text).unwrap_or_default(),
        correlation_id: correlation.map(|id| id.as_str().to_owned()),
        headers: headers.map(|(name, value)| (name.as_str().to_owned(), text(value))).collect(),
        body: answer.body.clone(),
    })
}

/// Journals a message above the listener's bound.
pub fn too_long(shared: &Shared, partner: &Partner, number: usize, message: &Delivery) {
    let problem = format!("{} bytes exceed the listener's bodyBytes", message.data.len());
    let request = Body::cut(&message.data);
    let told = Entry { method: "AMQP", request, problem: Some(&problem), ..Entry::default() };
    note(shared, &partner.id, &partner.listeners[number].id, told);
}
