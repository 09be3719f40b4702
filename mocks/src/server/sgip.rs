//! SGIP 1.2, China Unicom's gateway, as the gateway speaks it: messages come on the provider's connection, reports and uplink
//! messages leave on one that the gateway opens.
use futures_util::future::BoxFuture;
use qiao_wire::{
    FixedText, Layout, SecretText, Stamp, WireError,
    frame::FrameSpec,
    sgip::{
        Bind, Command, Deliver, Head, LongContent, Pdu, Report as Body, Resp, Submit as SubmitBody,
        TraceResp, Unbind, frame,
    },
};
use tokio::net::TcpStream;

use super::{
    carrier::{self, Codes, Dialect, Inbound, Login, MessageId, Outbound, Proof, Report, Sequence, Submit},
    sockets::Place,
};
use crate::spec::Proto;

/// Where the mock gateway listens unless the partner names a port.
pub const PORT: u16 = 8095;

/// Serves one connection.
pub fn serve(stream: TcpStream, peer: std::net::SocketAddr, place: Place) -> BoxFuture<'static, ()> {
    carrier::serve(&Sgip, stream, peer, place)
}

/// SGIP.
pub struct Sgip;

/// Results of responses (§5.2).
const CODES: Codes = Codes {
    structure: 5,
    unknown_account: 1,
    authentication: 1,
    version: 4,
    mode: 4,
    connections: 3,
    busy: 11,
    too_long: 8,
    source_number: 5,
    destination_number: 6,
};

const SUBMIT: u32 = 3;
/// LoginType of the provider, and of the gateway.
const FROM_PROVIDER: u8 = 1;
const FROM_GATEWAY: u8 = 2;
/// SGIP has one version and does not say it.
const VERSION: u8 = 0x12;
/// What stands in front of users' numbers.
const COUNTRY: &str = "86";

fn text<const N: usize>(field: &FixedText<N>) -> String {
    String::from_utf8_lossy(field.value()).into_owned()
}

impl Dialect for Sgip {
    fn proto(&self) -> Proto {
        Proto::Sgip
    }

    fn versions(&self) -> &'static [(&'static str, u8)] {
        &[("1.2", VERSION)]
    }

    fn version(&self, _: u8) -> Option<u8> {
        Some(VERSION)
    }

    fn account_length(&self) -> usize {
        16
    }

    fn largest_gateway(&self) -> u32 {
        u32::MAX
    }

    fn window(&self) -> u32 {
        32
    }

    fn tests_links(&self) -> bool {
        false
    }

    fn calls_back(&self) -> bool {
        true
    }

    fn codes(&self) -> &'static Codes {
        &CODES
    }

    fn frame(&self) -> FrameSpec {
        frame()
    }

    fn read(&self, frame: &[u8], _: u8) -> Result<(Sequence, Inbound), WireError> {
        let head = Head::decode(frame)?;
        let sequence = head.sequence;
        let pdu = match Pdu::decode(frame) {
            Ok(pdu) => pdu,
            Err(error) if head.command_id == SUBMIT => return Ok((sequence, Inbound::Unreadable(error))),
            Err(error) => return Err(error),
        };
        let inbound = match &pdu.command {
            Command::Bind(bind) => Inbound::Login(login(bind)),
            Command::Submit(submit) => Inbound::Submit(Box::new(message(submit))),
            Command::Unbind(_) => Inbound::Leave,
            Command::BindResp(resp) | Command::DeliverResp(resp) | Command::ReportResp(resp) => {
                Inbound::Answer(u32::from(resp.result))
            }
            Command::UnbindResp(_) => Inbound::Answer(0),
            // Messages are not traced: no node.
            Command::Trace(_) => {
                let answer = Pdu { sequence, command: Command::TraceResp(TraceResp::default()) };
                Inbound::Other(answer.encode().ok())
            }
            _ => Inbound::Other(None),
        };
        Ok((sequence, inbound))
    }

    fn write(&self, sequence: Sequence, message: &Outbound<'_>, _: u8) -> Result<Vec<u8>, WireError> {
        let command = match message {
            Outbound::LoginAnswer { status, .. } => Command::BindResp(resp(*status)?),
            Outbound::SubmitAnswer { result, .. } => Command::SubmitResp(resp(*result)?),
            Outbound::Report(report) => Command::Report(self::report(report)?),
            Outbound::Uplink(part) => Command::Deliver(Deliver {
                user_number: FixedText::new(with_country(&part.from))?,
                sp_number: FixedText::new(&part.to)?,
                tp_udhi: u8::from(part.has_header),
                message_coding: part.format,
                message_content: LongContent(part.content.clone()),
                ..Deliver::default()
            }),
            Outbound::Bind { name, secret } => Command::Bind(Bind {
                login_type: FROM_GATEWAY,
                login_name: FixedText::new(name)?,
                login_password: SecretText(FixedText::new(secret)?),
                ..Bind::default()
            }),
            Outbound::Leave => Command::Unbind(Unbind {}),
            Outbound::LeaveAnswer => Command::UnbindResp(Unbind {}),
            Outbound::Test | Outbound::TestAnswer => return Err(unsupported("a link test")),
        };
        Pdu { sequence, command }.encode()
    }

    fn is_authentic(&self, login: &Login, secret: &[u8]) -> bool {
        let Proof::Password(password) = &login.proof else { return false };
        let given = password.0.value();
        // The length is no secret: it travels in plain.
        given.len() == secret.len()
            && given.iter().zip(secret).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }

    fn directions(&self, mode: u8) -> Option<(bool, bool)> {
        (mode == FROM_PROVIDER).then_some((true, false))
    }

    fn sequence(&self, gateway: u32, at: Stamp, counter: u32) -> Sequence {
        Sequence::new(gateway, at, counter)
    }

    fn message_id(&self, _: u32, _: Stamp, _: u32, submitted: Sequence) -> MessageId {
        MessageId::Sgip(submitted)
    }

    fn id_space(&self) -> (i64, u32) {
        (1, u32::MAX)
    }
}

fn unsupported(field: &'static str) -> WireError {
    WireError::Value { field, reason: "has no place in SGIP" }
}

fn resp(result: u32) -> Result<Resp, WireError> {
    let result =
        u8::try_from(result).map_err(|_| WireError::Value { field: "Result", reason: "is above 255" })?;
    Ok(Resp { result, ..Resp::default() })
}

fn login(bind: &Bind) -> Login {
    Login {
        account: text(&bind.login_name),
        proof: Proof::Password(bind.login_password),
        timestamp: None,
        version: VERSION,
        mode: bind.login_type,
    }
}

fn message(submit: &SubmitBody) -> Submit {
    let numbers = || submit.user_number.0.iter().map(text);
    let plain = |number: String| number.strip_prefix(COUNTRY).map_or(number.clone(), str::to_owned);
    Submit {
        source: text(&submit.sp_number),
        destinations: numbers().map(plain).collect(),
        well_addressed: numbers().all(|number| number.starts_with(COUNTRY) && number.len() > COUNTRY.len()),
        service: text(&submit.service_type),
        // 0 on failure only, 1 always, 2 never, 3 of the monthly fee only.
        wanted: (submit.report_flag == 1, submit.report_flag <= 1),
        has_header: submit.tp_udhi == 1,
        format: submit.message_coding,
        content: submit.message_content.0.clone(),
        fields: submit.to_value(),
    }
}

/// A user's number as it travels.
fn with_country(number: &str) -> String {
    let has = number.starts_with(COUNTRY) && number.len() > 11;
    if has { number.to_owned() } else { format!("{COUNTRY}{number}") }
}

/// State and ErrorCode (§5.2) of a state in the words of the other carriers.
fn state_of(stat: &str) -> (u8, u8) {
    match stat {
        "DELIVRD" => (0, 0),
        "ACCEPTD" => (1, 0),
        "EXPIRED" => (2, 25),
        "UNDELIV" => (2, 28),
        "REJECTD" => (2, 30),
        _ => (2, 32),
    }
}

fn report(report: &Report) -> Result<Body, WireError> {
    let MessageId::Sgip(submit_sequence) = report.id else { return Err(unsupported("SubmitSequenceNumber")) };
    let (state, usual) = state_of(&report.stat);
    let given = report.error.map(u8::try_from).transpose();
    let error_code = given.map_err(|_| WireError::Value { field: "ErrorCode", reason: "is above 255" })?;
    Ok(Body {
        submit_sequence,
        report_type: 0,
        user_number: FixedText::new(with_country(&report.destination))?,
        state,
        error_code: error_code.unwrap_or(usual),
        ..Body::default()
    })
}
