//! What a stub's answer says about a message: the result, and what becomes of it.
use qiao_mappings::units::Duration;
use serde::Deserialize;

use super::UNANSWERABLE;
use crate::answer::Rendered;

/// A stub's answer: `{"result": 8}`, `{"report": {"stat": "UNDELIV", "after": "2s"}}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Verdict {
    /// In the protocol's numbers; 0 when left out.
    #[serde(default)]
    pub result: u32,
    #[serde(default)]
    pub report: ReportOrder,
}

/// What becomes of an accepted message; what is left out is drawn by the listener's settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ReportOrder {
    pub stat: Option<String>,
    /// SMGP's err, SGIP's ErrorCode.
    pub error: Option<u32>,
    pub after: Option<Duration>,
    /// 0 never, 2 twice; at most 5.
    pub times: Option<u32>,
    /// Before the answer to the message.
    pub early: Option<bool>,
}

/// Reports of one message at most.
const MAX_TIMES: u32 = 5;

impl Verdict {
    /// Reads an answer; one that cannot be understood refuses the message.
    pub fn read(answer: &Rendered) -> Self {
        if answer.status >= 400 {
            return Self::unanswerable();
        }
        check(&answer.body).unwrap_or_else(|problem| {
            tracing::warn!(problem, "a stub's answer is none of a carrier's gateway: the message is refused");
            Self::unanswerable()
        })
    }

    fn unanswerable() -> Self {
        Self { result: UNANSWERABLE, ..Self::default() }
    }
}

/// Reads the document of an answer.
///
/// # Errors
/// What it does not understand.
pub fn check(body: &[u8]) -> Result<Verdict, String> {
    if body.is_empty() {
        return Ok(Verdict::default());
    }
    let verdict: Verdict = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if let Some(stat) = &verdict.report.stat {
        check_stat(stat)?;
    }
    if verdict.report.times.is_some_and(|times| times > MAX_TIMES) {
        return Err(format!("report.times: at most {MAX_TIMES}"));
    }
    Ok(verdict)
}

/// # Errors
/// Another form than seven printable characters without spaces.
pub fn check_stat(stat: &str) -> Result<(), String> {
    let fits = stat.len() == 7 && stat.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(())
    } else {
        Err(format!("`{stat}` is no state: seven characters, such as DELIVRD or MB:0066"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_gives_a_result_and_orders_a_report() {
        let verdict = check(br#"{"result": 0, "report": {"stat": "UNDELIV", "after": "2s", "times": 2}}"#)
            .expect("an answer");
        assert_eq!((verdict.result, verdict.report.stat.as_deref()), (0, Some("UNDELIV")));
        assert_eq!(verdict.report.after.map(|after| after.0.as_secs()), Some(2));
        assert_eq!(check(b"{}").expect("an answer").result, 0);
    }

    #[test]
    fn a_misspelt_key_or_an_impossible_report_is_told() {
        for (body, told) in [
            (r#"{"reslut": 8}"#, "reslut"),
            (r#"{"result": -1}"#, "-1"),
            (r#"{"report": {"stat": "GONE"}}"#, "seven characters"),
            (r#"{"report": {"times": 6}}"#, "at most 5"),
        ] {
            let problem = check(body.as_bytes()).expect_err("refused");
            assert!(problem.contains(told), "{problem}");
        }
    }
}
