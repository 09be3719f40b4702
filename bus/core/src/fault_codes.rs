//! The table of every fault code. Adding one: a constant, its name in `FAULTS`, and a page `docs/faults/QIAO-nnnn.md`.
use crate::fault::{
    Blame::{self, Bus, Caller, Partner},
    FaultCode,
    Repeat::{self, Safe, Unknown, Unsafe},
};

macro_rules! faults {
    ($($constant:ident = $number:literal, $blame:expr, $repeat:expr, $status:literal, $name:literal, $text:literal;)*) => {
        $(#[doc = $name] pub static $constant: FaultCode = code($number, $blame, $repeat, $status, $name, $text);)*
        /// Every fault code, in ascending order.
        pub static FAULTS: &[&FaultCode] = &[$(&$constant),*];
    };
}

const fn code(
    number: u16,
    blame: Blame,
    repeat: Repeat,
    status: u16,
    name: &'static str,
    text: &'static str,
) -> FaultCode {
    FaultCode { number, blame, repeat, status, name, text }
}

faults! {
    BAD_REQUEST = 1001, Caller, Unsafe, 400, "bad-request", "请求格式不正确";
    NO_SUCH_INTERFACE = 1002, Caller, Unsafe, 404, "no-such-interface", "接口不存在";
    METHOD_NOT_ALLOWED = 1003, Caller, Unsafe, 405, "method-not-allowed", "请求方法不被允许";
    BODY_TOO_LARGE = 1004, Caller, Unsafe, 413, "body-too-large", "请求体超过上限";
    BODY_TIMEOUT = 1005, Caller, Safe, 408, "body-timeout", "请求接收超时";
    UNSUPPORTED_MEDIA = 1006, Caller, Unsafe, 415, "unsupported-media", "请求内容类型不受支持";
    INVALID_REQUEST = 1007, Caller, Unsafe, 422, "invalid-request", "请求内容不符合接口约定";
    KEY_REUSED = 1008, Caller, Unsafe, 422, "idempotency-key-reused", "幂等键已用于另一请求";
    UNDER_WAY = 1009, Caller, Safe, 409, "request-under-way", "相同请求正在处理中，请稍后再试";
    EARLIER_UNKNOWN = 1010, Bus, Unknown, 409, "earlier-result-unknown", "该请求此前已提交，处理结果未知，请先查询";
    UNKNOWN_CALLER = 2001, Caller, Unsafe, 401, "unknown-caller", "调用方身份无法识别";
    BAD_SIGNATURE = 2002, Caller, Unsafe, 401, "bad-signature", "签名或密文校验未通过";
    REPLAYED = 2003, Caller, Unsafe, 401, "replayed", "请求已过期或重复提交";
    WINDOW_CLOSED = 2004, Caller, Safe, 403, "window-closed", "当前时段不允许调用";
    NOT_GRANTED = 2005, Caller, Unsafe, 403, "not-granted", "未授权调用该接口";
    INTERFACE_OFF = 3001, Bus, Safe, 503, "interface-off", "接口已停用";
    QUOTA_EXCEEDED = 3002, Caller, Safe, 429, "quota-exceeded", "调用额度已用完";
    RATE_LIMITED = 3003, Caller, Safe, 429, "rate-limited", "调用过于频繁，请稍后再试";
    BUS_BUSY = 3004, Bus, Safe, 503, "bus-busy", "系统繁忙，请稍后再试";
    SHUTTING_DOWN = 3005, Bus, Safe, 503, "shutting-down", "服务正在停止，请稍后再试";
    FIELD_MISSING = 4101, Bus, Unsafe, 500, "field-missing", "报文转换失败：缺少必填字段";
    FIELD_FORMAT = 4102, Bus, Unsafe, 500, "field-format", "报文转换失败：字段格式不正确";
    NOT_ENCODABLE = 4105, Bus, Unsafe, 422, "not-encodable", "报文含有无法转换的字符";
    FLOW_FAULT = 4201, Bus, Unsafe, 500, "flow-fault", "接口编排执行出错";
    PARTNER_DOWN = 5001, Partner, Safe, 502, "partner-down", "合作系统暂不可用";
    PARTNER_TIMEOUT = 5002, Partner, Unknown, 504, "partner-timeout", "合作系统应答超时";
    BREAKER_OPEN = 5003, Partner, Safe, 503, "breaker-open", "合作系统暂停服务，请稍后再试";
    PARTNER_PROTOCOL = 5004, Partner, Unknown, 502, "partner-protocol", "合作系统应答无法识别";
    PARTNER_REFUSED = 5005, Partner, Unsafe, 422, "partner-refused", "合作系统拒绝了该业务";
    PARTNER_BUSY = 5006, Bus, Safe, 503, "partner-busy", "合作系统并发已满，请稍后再试";
    PARTNER_TRY_LATER = 5007, Partner, Safe, 503, "partner-try-later", "合作系统暂时无法受理，请稍后再试";
    PARTNER_RESULT_UNKNOWN = 5008, Partner, Unknown, 504, "partner-result-unknown", "合作系统处理结果未知，请先查询";
    STEP_ROLLED_BACK = 6001, Partner, Safe, 409, "step-rolled-back", "业务未办理成功，已撤销";
    FLOW_STOPPED = 6002, Bus, Safe, 409, "flow-stopped", "业务已被终止";
    COMPENSATION_FAILED = 6003, Bus, Unknown, 500, "compensation-failed", "业务撤销未完成，已转人工处理";
    FLOW_FAILED = 6004, Caller, Unsafe, 422, "flow-failed", "业务条件不满足";
    DEADLINE_EXCEEDED = 6005, Bus, Unknown, 504, "deadline-exceeded", "业务处理超时";
    RECORD_UNAVAILABLE = 7001, Bus, Safe, 503, "record-unavailable", "系统暂时无法留存调用记录";
    VAULT_SEALED = 7101, Bus, Safe, 503, "vault-sealed", "密码服务未启用";
    KEY_DEVICE = 7102, Bus, Safe, 503, "key-device", "密码设备暂不可用，请稍后再试";
    INTERNAL = 9001, Bus, Unknown, 500, "internal", "系统内部错误";
}

/// The code with this number, or none.
pub fn by_number(number: u16) -> Option<&'static FaultCode> {
    FAULTS.binary_search_by_key(&number, |code| code.number).ok().map(|index| FAULTS[index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_are_found_by_number() {
        assert!(FAULTS.windows(2).all(|pair| pair[0].number < pair[1].number));
        assert_eq!(by_number(5003), Some(&BREAKER_OPEN));
        assert_eq!(by_number(1), None);
    }
}
