//! Faults of the bus's own work: mappings, expressions, codecs, envelopes.
use qiao_core::{Fault, fault_codes as codes};
use qiao_mappings::{CodecError, CodecErrorKind, EvalError, EvalErrorKind, MapError, MapErrorKind};
use qiao_vault::VaultError;

pub(crate) fn mapping(error: &MapError, what: &str) -> Fault {
    let code = match error.kind {
        MapErrorKind::Missing => &codes::FIELD_MISSING,
        MapErrorKind::Format => &codes::FIELD_FORMAT,
        MapErrorKind::NotEncodable => &codes::NOT_ENCODABLE,
    };
    Fault::new(code, format!("{what}: {error}"))
}

pub(crate) fn eval(error: &EvalError, what: &str) -> Fault {
    let code = match error.kind {
        EvalErrorKind::Missing => &codes::FIELD_MISSING,
        EvalErrorKind::Format => &codes::FIELD_FORMAT,
        EvalErrorKind::Limit => &codes::FLOW_FAULT,
    };
    Fault::new(code, format!("{what}: {error}"))
}

/// A condition that has no value is a fault of the flow.
pub(crate) fn condition(error: &EvalError, what: &str) -> Fault {
    Fault::new(&codes::FLOW_FAULT, format!("{what}: {error}"))
}

pub(crate) fn encode(error: &CodecError, what: &str) -> Fault {
    let code = match error.kind {
        CodecErrorKind::NotEncodable => &codes::NOT_ENCODABLE,
        _ => &codes::FLOW_FAULT,
    };
    Fault::new(code, format!("{what}: {error}"))
}

pub(crate) fn seal(error: &VaultError, what: &str) -> Fault {
    let code = match error {
        VaultError::Sealed | VaultError::Uninitialised => &codes::VAULT_SEALED,
        VaultError::Device { .. } => &codes::KEY_DEVICE,
        _ => &codes::FLOW_FAULT,
    };
    Fault::new(code, format!("{what}: {}", error.operator_detail()))
}
