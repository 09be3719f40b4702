//! What a service's answer means: done with these bytes, busy, refused, or not understood. For the remote driver.
use super::{AnswersSpec, MALFORMED, template::Compiled};
use crate::provider::CryptoError;
use serde_json::Value;
use zeroize::Zeroizing;

const BUSY: CryptoError = CryptoError::Busy("the service is busy");
const FAILED: CryptoError = CryptoError::Failed("the service answered that it failed");

pub(super) struct Judge {
    spec: AnswersSpec,
}

impl Judge {
    pub(super) fn new(spec: &AnswersSpec) -> Result<Self, String> {
        match &spec.code {
            Some(pointer) if !pointer.starts_with('/') => {
                Err("answers.code: a JSON pointer begins with `/`".to_owned())
            }
            Some(_) if spec.ok.is_empty() => Err("answers.ok: name the codes that mean done".to_owned()),
            None if !(spec.ok.is_empty() && spec.busy.is_empty() && spec.refused.is_empty()) => {
                Err("answers.code: say where the codes are".to_owned())
            }
            _ => Ok(Self { spec: spec.clone() }),
        }
    }

    /// The bytes of the result. A service's code counts before its status, for some send both.
    pub(super) fn read(
        &self,
        operation: &Compiled,
        status: u16,
        body: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let document: Option<Value> = serde_json::from_slice(body).ok();
        let code = self.spec.code.as_deref().and_then(|pointer| document.as_ref()?.pointer(pointer));
        let code = code.map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
        let is = |codes: &[String]| code.as_ref().is_some_and(|code| codes.contains(code));
        if is(&self.spec.busy) {
            return Err(BUSY);
        }
        if is(&self.spec.refused) {
            return Err(CryptoError::Refused);
        }
        match status {
            200..300 => {}
            429 | 503 => return Err(BUSY),
            _ => return Err(FAILED),
        }
        match (&self.spec.code, &code) {
            (Some(_), None) => return Err(MALFORMED),
            (Some(_), Some(_)) if !is(&self.spec.ok) => return Err(FAILED),
            _ => {}
        }
        let found = document.as_ref().and_then(|document| document.pointer(&operation.result)?.as_str());
        found.and_then(|text| operation.form.decode(text)).map(Zeroizing::new).ok_or(MALFORMED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judged(answers: Value, status: u16, body: &str) -> Result<Vec<u8>, CryptoError> {
        let operation = json!({"path": "/x", "result": "/data/r", "as": "hex"});
        let operation = Compiled::new(&serde_json::from_value(operation).unwrap(), &[]).unwrap();
        let judge = Judge::new(&serde_json::from_value(answers).unwrap()).map_err(|_| MALFORMED)?;
        judge.read(&operation, status, body.as_bytes()).map(|bytes| bytes.to_vec())
    }

    #[test]
    fn judges_by_code_and_by_status() {
        let codes = json!({"code": "/code", "ok": ["0", "200"], "busy": ["B1"], "refused": ["R1"]});
        for (status, body, expected) in [
            (200, r#"{"code":"0","data":{"r":"ab"}}"#, Ok(vec![0xab])),
            (200, r#"{"code":200,"data":{"r":"AB"}}"#, Ok(vec![0xab])),
            (200, r#"{"code":"B1"}"#, Err(BUSY)),
            (500, r#"{"code":"B1"}"#, Err(BUSY)),
            (200, r#"{"code":"R1","data":{"r":"ab"}}"#, Err(CryptoError::Refused)),
            (200, r#"{"code":"7","data":{"r":"ab"}}"#, Err(FAILED)),
            (500, r#"{"code":"0","data":{"r":"ab"}}"#, Err(FAILED)),
            (200, r#"{"data":{"r":"ab"}}"#, Err(MALFORMED)),
            (200, r#"{"code":"0","data":{"r":"xy"}}"#, Err(MALFORMED)),
            (200, r#"{"code":"0","data":{"r":7}}"#, Err(MALFORMED)),
            (200, "", Err(MALFORMED)),
            (200, "<html>", Err(MALFORMED)),
        ] {
            assert_eq!(judged(codes.clone(), status, body), expected, "{status} {body}");
        }
        for (status, expected) in [(200, Ok(vec![1])), (429, Err(BUSY)), (503, Err(BUSY)), (404, Err(FAILED))]
        {
            assert_eq!(judged(json!({}), status, r#"{"data":{"r":"01"}}"#), expected);
        }
    }

    #[test]
    fn refuses_descriptions_that_cannot_judge() {
        for wrong in [json!({"code": "code", "ok": ["0"]}), json!({"code": "/code"}), json!({"busy": ["1"]})]
        {
            assert!(Judge::new(&serde_json::from_value(wrong.clone()).unwrap()).is_err(), "{wrong}");
        }
    }
}
