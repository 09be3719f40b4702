//! A batch that was put: decided like any request, answered by files that appear later.
use std::{
    sync::{Arc, Weak},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Method};
use qiao_wire::bankfile::{FileName, Header};
use serde_json::Value;

use crate::{
    exchange::{self, exchange},
    facts::Incoming,
    faults::Fault,
    journal::{Body, Entry},
    partner::Partner,
    server::{Shared, sockets::Place},
    sftp::{Batch, SftpForm, batch},
};

/// Takes notice of a file that was put or renamed: where it completes a batch, the batch is a request.
pub fn put(place: &Place, user: &str, path: &str) {
    let Some((partner, number)) = place.current() else { return };
    let Some(form) = partner.listeners[number].sftp.clone() else { return };
    let Some((folder, file)) = path.rsplit_once('/') else { return };
    let (data, by_ok) = match file.strip_suffix(".ok") {
        Some(stem) => (format!("{stem}.txt"), true),
        None => (file.to_owned(), false),
    };
    let Ok(name) = FileName::parse(&data) else { return };
    let ours = |batch: &&Batch| {
        batch.inbox == folder && batch.business == name.business() && batch.without_ok != by_ok
    };
    let Some(kind) = form.batches.iter().position(|batch| ours(&batch)) else { return };
    let tree = partner.runtime.files(&partner.listeners[number].id, user);
    let (bytes, signature) = {
        let tree = tree.lock();
        let bytes = |name: &str| tree.get(&format!("{folder}/{name}")).map(|node| node.bytes.clone());
        (bytes(&data), bytes(&name.signature_name()))
    };
    let Some(bytes) = bytes else {
        return note(&place.shared, &partner, number, path, Some("`.ok` without its data file".into()), &[]);
    };
    let key = form.keys.as_ref().map(|(ours, _)| ours);
    let signature = batch::signed(&bytes, signature.as_deref(), key);
    let (mut document, header) = batch::document(&name, &bytes, &form.batches[kind].rows, signature);
    let incoming = Incoming {
        method: Method::PUT,
        path: format!("{folder}/{data}"),
        query: None,
        headers: HeaderMap::new(),
        body: Bytes::from(document.to_string()),
        session: "".into(),
    };
    let asked = document["rows"].take();
    let decided = exchange(&place.shared, Arc::clone(&partner), number, incoming, Instant::now(), |_, _| {});
    if decided.answer.status != 200 || form.batches[kind].result.is_none() {
        return;
    }
    let header = header.unwrap_or_else(|| Header {
        batch_no: format!("{:04}", name.batch()),
        bank_code: String::new(),
        date: name.date(),
        count: 0,
        amount: 0,
    });
    let reply = Reply {
        shared: Arc::downgrade(&place.shared),
        partner,
        number,
        form,
        kind,
        user: user.into(),
        name,
        header,
        asked,
        answer: serde_json::from_slice(&decided.answer.body).unwrap_or(Value::Null),
        fault: decided.fault,
    };
    later(&place.shared, reply, decided.delay);
}

/// A result on its way.
struct Reply {
    /// Weak: a timer must not keep the server alive.
    shared: Weak<Shared>,
    partner: Arc<Partner>,
    number: usize,
    form: Arc<SftpForm>,
    kind: usize,
    user: Box<str>,
    name: FileName,
    header: Header,
    /// The rows of the batch.
    asked: Value,
    answer: Value,
    fault: Option<Arc<Fault>>,
}

fn later(shared: &Arc<Shared>, reply: Reply, delay: std::time::Duration) {
    let after = reply.form.batches[reply.kind].result.as_ref().map_or(delay, |result| result.after + delay);
    if after.is_zero() {
        return reply.appear(shared);
    }
    let (partner, number) = (Arc::clone(&reply.partner), reply.number);
    let what = format!("file for {}", reply.name);
    let task = Box::new(move || -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(async move {
            if let Some(shared) = reply.shared.upgrade() {
                reply.appear(&shared);
            }
        })
    });
    if let Err(full) = shared.timers.schedule(after, (&partner.id, ""), (&what, ""), task) {
        note(shared, &partner, number, "/", Some(full.to_string()), &[]);
    }
}

impl Reply {
    /// Puts the files where the user finds them; each stands in the journal.
    fn appear(&self, shared: &Shared) {
        let Some(answering) = &self.form.batches[self.kind].result else { return };
        let key = self.form.keys.as_ref().map(|(_, theirs)| theirs);
        let now = u32::try_from(shared.clock.now_ms() / 1000).unwrap_or(u32::MAX);
        let (batch, fault) = ((&self.name, &self.header, &self.asked), self.fault.as_deref());
        let files = match batch::results(answering, batch, &self.answer, key, fault, now) {
            Ok(files) => files,
            Err(problem) => {
                return note(shared, &self.partner, self.number, &answering.outbox, Some(problem), &[]);
            }
        };
        let tree = self.partner.runtime.files(&self.partner.listeners[self.number].id, &self.user);
        for (path, node) in files {
            let bytes = node.bytes.clone();
            let fits = tree.lock().put(&path, node, self.form.max_bytes);
            let problem = (!fits).then(|| "the user's files exceed their bound; remove some".to_owned());
            note(shared, &self.partner, self.number, &path, problem, &bytes);
        }
    }
}

/// A file that appeared, or why it did not.
fn note(
    shared: &Shared,
    partner: &Partner,
    number: usize,
    path: &str,
    problem: Option<String>,
    bytes: &[u8],
) {
    let (answer, problem) = (Body::cut(bytes), problem.as_deref());
    let told = Entry { method: "FILE", path, answer, problem, ..Entry::default() };
    exchange::note(shared, &partner.id, &partner.listeners[number].id, told);
}
