//! Who may call what: callers and grants, compiled. Counting calls is the gateway's business.
use std::{collections::HashMap, sync::Arc};

use qiao_core::{Fault, fault_codes};
use qiao_vault::{Envelope, KeyHandle, KeyRef, Side, Vault, VaultError};

use super::{draft::Draft, window::Window};
use crate::{
    definitions::{
        CallerDefinition, Definitions, GrantDefinition,
        caller::{CallerEnvelope, Over},
        grant::{Quota, Rate},
    },
    mistake::Kind,
};

/// What a caller's envelope may ask for: the caller's id, the call's id, Unix time in milliseconds, the same as `yyyyMMddHHmmss` at
/// Asia/Shanghai, the request's method and path.
pub(crate) const PARAMETERS: &[&str] = &["caller", "call", "timestamp", "time", "method", "path"];

/// A caller with its proof ready for use.
pub struct CallerPlan {
    pub id: Arc<str>,
    pub definition: Arc<CallerDefinition>,
    pub off: bool,
    /// Over all interfaces together.
    pub rate: Option<Rate>,
    pub proof: CallerProof,
    /// `caller` as flows see it: `{id, title}`.
    pub(crate) document: Arc<serde_json::Value>,
}

/// How a caller proves who it is.
pub enum CallerProof {
    /// The shared key expected in `X-App-Key`.
    Key(KeyHandle),
    /// The body's envelope, opened by the flow's first phase.
    Envelope(Envelope),
    /// The whole request's envelope: what the caller signs stands in headers.
    Request(Envelope),
}

impl CallerPlan {
    /// Whether the key shown is the caller's. A caller with an envelope passes: its envelope is the proof, when opened.
    /// Errors: `UNKNOWN_CALLER` for a wrong or missing key, `VAULT_SEALED`.
    pub fn prove(&self, key: Option<&[u8]>) -> Result<(), Fault> {
        let CallerProof::Key(expected) = &self.proof else { return Ok(()) };
        let Some(key) = key else {
            return Err(Fault::new(&fault_codes::UNKNOWN_CALLER, "the key header X-App-Key is missing"));
        };
        match expected.secret_matches(key) {
            Ok(()) => Ok(()),
            Err(VaultError::Refused { .. }) => {
                Err(Fault::new(&fault_codes::UNKNOWN_CALLER, "the key is wrong"))
            }
            Err(error @ (VaultError::Sealed | VaultError::Uninitialised)) => {
                Err(Fault::new(&fault_codes::VAULT_SEALED, error.operator_detail()))
            }
            Err(error) => Err(Fault::new(&fault_codes::UNKNOWN_CALLER, error.operator_detail())),
        }
    }

    /// Whether its bodies are sealed.
    pub fn is_sealed(&self) -> bool {
        matches!(self.proof, CallerProof::Envelope(_))
    }

    /// Whether its requests are proven by an envelope over the whole of them.
    pub fn signs_requests(&self) -> bool {
        matches!(self.proof, CallerProof::Request(_))
    }

    /// What seals its answers.
    pub(crate) fn envelope(&self) -> Option<&Envelope> {
        match &self.proof {
            CallerProof::Envelope(envelope) => Some(envelope),
            CallerProof::Key(_) | CallerProof::Request(_) => None,
        }
    }
}

/// A grant as it counts for one caller and one interface.
#[derive(Debug)]
pub struct GrantPlan {
    pub id: Arc<str>,
    pub window: Window,
    pub rate: Option<Rate>,
    pub quota: Option<Quota>,
}

/// Grants by caller and interface, in definition order.
#[derive(Default)]
pub(crate) struct Grants(HashMap<Box<str>, OfCaller>);

/// A caller's grants by interface.
type OfCaller = HashMap<Box<str>, Vec<Arc<GrantPlan>>>;

impl Grants {
    pub fn of(&self, caller: &str, interface: &str) -> &[Arc<GrantPlan>] {
        self.0.get(caller).and_then(|grants| grants.get(interface)).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, caller: &str, interface: &str, grant: &Arc<GrantPlan>) {
        let grants = self.0.entry(caller.into()).or_default().entry(interface.into()).or_default();
        if !grants.iter().any(|known| known.id == grant.id) {
            grants.push(grant.clone());
        }
    }

    /// A forwarded interface opens no bodies, so a caller whose proof is its body's envelope can never be let in there.
    fn refuse_unopened(
        definition: &GrantDefinition,
        index: usize,
        pattern: &str,
        definitions: &Definitions,
        draft: &mut Draft<'_>,
    ) {
        let caller = definitions.callers.get(&definition.caller);
        let envelope = caller.and_then(|caller| caller.credential.envelope.as_ref());
        let sealed = envelope.is_some_and(|envelope| envelope.over == Over::Body);
        let forwards = definitions.interfaces.get(pattern).is_some_and(|found| found.forward.is_some());
        if sealed && forwards {
            let message = format!(
                "`{pattern}` passes bodies through unread, and `{}` is known by what it seals",
                definition.caller
            );
            let remedy = "give the caller a `key`, or an envelope `over: request`".to_owned();
            draft.wrong_so(&format!("interfaces[{index}]"), message, remedy);
        }
    }

    /// Adds one definition.
    pub fn compile(
        &mut self,
        definition: &GrantDefinition,
        definitions: &Definitions,
        draft: &mut Draft<'_>,
    ) {
        let window = match definition.window.as_ref().map(Window::new).transpose() {
            Ok(window) => window.unwrap_or_default(),
            Err(wrong) => {
                wrong.into_iter().for_each(|(path, message)| draft.wrong(&format!("window.{path}"), message));
                Window::default()
            }
        };
        if !definitions.has(Kind::Caller, &definition.caller) {
            draft.wrong("caller", format!("there is no caller `{}`", definition.caller));
        }
        let id = Arc::from(definition.grant.as_str());
        let grant = Arc::new(GrantPlan { id, window, rate: definition.rate, quota: definition.quota });
        for (index, pattern) in definition.interfaces.iter().enumerate() {
            let covers = |id: &&str| match pattern.strip_suffix('*') {
                Some(provider) => provider.ends_with('.') && id.starts_with(provider),
                None => pattern == id,
            };
            let known = definitions.interfaces.keys().map(String::as_str);
            let covered: Vec<_> = known.filter(covers).collect();
            let mut unread = definitions.unread.iter().filter(|unread| unread.kind == Kind::Interface);
            Self::refuse_unopened(definition, index, pattern, definitions, draft);
            if covered.is_empty() && !unread.any(|unread| covers(&unread.id.as_str())) {
                draft.wrong(&format!("interfaces[{index}]"), format!("`{pattern}` covers no interface"));
            }
            covered.into_iter().for_each(|interface| self.add(&definition.caller, interface, &grant));
        }
    }
}

/// Compiles one caller.
pub(crate) fn compile_caller(
    definition: &Arc<CallerDefinition>,
    definitions: &Definitions,
    vault: &Vault,
    draft: &mut Draft<'_>,
) -> Option<CallerPlan> {
    let proof = match (&definition.credential.key, &definition.credential.envelope) {
        (Some(reference), None) => match reference.parse::<KeyRef>() {
            Ok(key) => CallerProof::Key(vault.key(&key)),
            Err(error) => {
                draft.wrong("credential.key", error.to_string());
                return None;
            }
        },
        (None, Some(used)) => {
            let envelope = caller_envelope(used, definitions, vault, draft)?;
            match used.over {
                Over::Body => CallerProof::Envelope(envelope),
                Over::Request => CallerProof::Request(envelope),
            }
        }
        _ => {
            draft.wrong("credential", "exactly one of `key` and `envelope`");
            return None;
        }
    };
    Some(CallerPlan {
        id: definition.caller.as_str().into(),
        off: definition.off,
        rate: definition.rate,
        proof,
        document: Arc::new(serde_json::json!({"id": definition.caller, "title": definition.title})),
        definition: definition.clone(),
    })
}

fn caller_envelope(
    used: &CallerEnvelope,
    definitions: &Definitions,
    vault: &Vault,
    draft: &mut Draft<'_>,
) -> Option<Envelope> {
    let Some(system) = definitions.systems.get(&used.system) else {
        if !definitions.has(Kind::System, &used.system) {
            draft.wrong("credential.envelope.system", format!("there is no system `{}`", used.system));
        }
        return None;
    };
    let Some(spec) = system.envelopes.get(&used.envelope) else {
        let known: Vec<_> = system.envelopes.keys().map(String::as_str).collect();
        draft.wrong_so(
            "credential.envelope.envelope",
            format!("system `{}` has no envelope `{}`", used.system, used.envelope),
            format!("known there: {}", known.join(", ")),
        );
        return None;
    };
    // Its mistakes are told with the system.
    let envelope = Envelope::compile(spec, vault, Side::Bus).ok()?;
    if used.over == Over::Body && !envelope.seals() {
        let message = format!(
            "the envelope `{}` has no `seal`: answers to its callers could not be sealed",
            used.envelope
        );
        draft.wrong_so(
            "credential.envelope.envelope",
            message,
            "add `seal` and `write`, or say `over: request`".to_owned(),
        );
    }
    if let Some(name) = envelope.params().iter().find(|name| !PARAMETERS.contains(&name.as_str())) {
        draft.wrong_so(
            "credential.envelope",
            format!("the envelope asks for the parameter `{name}`, which callers do not give"),
            format!("known: {}", PARAMETERS.join(", ")),
        );
    }
    Some(envelope)
}
