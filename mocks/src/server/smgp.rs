//! SMGP 1.3 and 3.0, China Telecom's gateway, as the gateway speaks it.
use futures_util::future::BoxFuture;
use qiao_wire::{
    Content, FixedText, Head, Layout, Stamp, WireError, digests_match,
    frame::FrameSpec,
    smgp::{
        ActiveTest, Command, Deliver, Exit, Login as LoginBody, LoginResp, MessageResp, MsgId, MsgIdParts,
        Pdu, REPORT_ERRORS, StatusReport, Submit as Body, Tlvs, Version, auth, frame, tag,
    },
};
use tokio::net::TcpStream;

use super::{
    carrier::{
        self, Codes, Dialect, Inbound, Login, MessageId, Outbound, Part, Proof, Report, Sequence, Submit,
        counted, local, minutes,
    },
    sockets::Place,
};
use crate::spec::Proto;

/// Where the mock gateway listens unless the partner names a port.
pub const PORT: u16 = 8094;

/// Serves one connection.
pub fn serve(stream: TcpStream, peer: std::net::SocketAddr, place: Place) -> BoxFuture<'static, ()> {
    carrier::serve(&Smgp, stream, peer, place)
}

/// SMGP.
pub struct Smgp;

/// Status of Login_Resp and Submit_Resp (§6.3.1).
const CODES: Codes = Codes {
    structure: 10,
    unknown_account: 21,
    authentication: 21,
    version: 22,
    mode: 11,
    connections: 2,
    busy: 1,
    too_long: 36,
    source_number: 46,
    destination_number: 47,
};

const SUBMIT: u32 = 2;

fn layout(version: u8) -> Version {
    Version::of(version).unwrap_or(Version::V30)
}

fn text<const N: usize>(field: &FixedText<N>) -> String {
    String::from_utf8_lossy(field.value()).into_owned()
}

impl Dialect for Smgp {
    fn proto(&self) -> Proto {
        Proto::Smgp
    }

    fn versions(&self) -> &'static [(&'static str, u8)] {
        &[("1.3", 0x13), ("3.0", 0x30)]
    }

    fn version(&self, asked: u8) -> Option<u8> {
        Version::of(asked).map(Version::byte)
    }

    fn account_length(&self) -> usize {
        8
    }

    fn largest_gateway(&self) -> u32 {
        999_999
    }

    fn window(&self) -> u32 {
        16
    }

    fn tests_links(&self) -> bool {
        true
    }

    fn codes(&self) -> &'static Codes {
        &CODES
    }

    fn frame(&self) -> FrameSpec {
        frame()
    }

    fn read(&self, frame: &[u8], version: u8) -> Result<(Sequence, Inbound), WireError> {
        let head = Head::decode(frame)?;
        let sequence = counted(head.sequence);
        let pdu = match Pdu::decode(frame, layout(version)) {
            Ok(pdu) => pdu,
            Err(error) if head.command_id == SUBMIT => return Ok((sequence, Inbound::Unreadable(error))),
            Err(error) => return Err(error),
        };
        let inbound = match &pdu.command {
            Command::Login(body) => Inbound::Login(login(body)),
            Command::Submit(submit) => Inbound::Submit(Box::new(message(submit))),
            Command::ActiveTest(_) => Inbound::Test,
            Command::Exit(_) => Inbound::Leave,
            Command::DeliverResp(resp) => Inbound::Answer(resp.status),
            Command::ActiveTestResp(_) | Command::ExitResp(_) => Inbound::Answer(0),
            _ => Inbound::Other(None),
        };
        Ok((sequence, inbound))
    }

    fn write(&self, sequence: Sequence, message: &Outbound<'_>, version: u8) -> Result<Vec<u8>, WireError> {
        let command = match message {
            Outbound::LoginAnswer { status, login, secret, version } => {
                let Proof::Digest(client) = &login.proof else {
                    return Err(unsupported("AuthenticatorClient"));
                };
                Command::LoginResp(LoginResp {
                    status: *status,
                    authenticator_server: auth::server(*status, client, secret),
                    server_version: *version,
                })
            }
            Outbound::SubmitAnswer { id, result } => {
                Command::SubmitResp(MessageResp { msg_id: own(*id)?, status: *result })
            }
            Outbound::Report(report) => Command::Deliver(self::report(report)?),
            Outbound::Uplink(part) => Command::Deliver(uplink(part)?),
            Outbound::Test => Command::ActiveTest(ActiveTest {}),
            Outbound::TestAnswer => Command::ActiveTestResp(ActiveTest {}),
            Outbound::Leave => Command::Exit(Exit {}),
            Outbound::LeaveAnswer => Command::ExitResp(Exit {}),
            Outbound::Bind { .. } => return Err(unsupported("Bind")),
        };
        Pdu { sequence: sequence.counter, command }.encode(layout(version))
    }

    fn is_authentic(&self, login: &Login, secret: &[u8]) -> bool {
        let (Ok(client), Proof::Digest(digest), Some(timestamp)) =
            (FixedText::new(&login.account), &login.proof, login.timestamp)
        else {
            return false;
        };
        digests_match(&auth::client(&client, secret, timestamp), digest)
    }

    fn directions(&self, mode: u8) -> Option<(bool, bool)> {
        match mode {
            0 => Some((true, false)),
            1 => Some((false, true)),
            2 => Some((true, true)),
            _ => None,
        }
    }

    fn sequence(&self, _: u32, _: Stamp, counter: u32) -> Sequence {
        counted(counter)
    }

    fn message_id(&self, gateway: u32, time: Stamp, number: u32, _: Sequence) -> MessageId {
        let parts = MsgIdParts { gateway: gateway.min(999_999), time, sequence: number % 1_000_000 };
        MessageId::Smgp(MsgId::pack(parts).unwrap_or_default())
    }

    fn id_space(&self) -> (i64, u32) {
        (60, 1_000_000)
    }
}

fn unsupported(field: &'static str) -> WireError {
    WireError::Value { field, reason: "has no place in SMGP" }
}

fn own(id: MessageId) -> Result<MsgId, WireError> {
    match id {
        MessageId::Smgp(id) => Ok(id),
        _ => Err(unsupported("MsgID")),
    }
}

fn login(body: &LoginBody) -> Login {
    Login {
        account: text(&body.client_id),
        proof: Proof::Digest(body.authenticator_client),
        timestamp: Some(body.timestamp),
        version: body.client_version,
        mode: body.login_mode,
    }
}

fn message(submit: &Body) -> Submit {
    let wanted = submit.need_report == 1;
    Submit {
        source: text(&submit.src_term_id),
        destinations: submit.dest_term_id.0.iter().map(text).collect(),
        well_addressed: submit.dest_term_id.0.iter().all(|number| !number.value().is_empty()),
        service: text(&submit.service_id),
        wanted: (wanted, wanted),
        has_header: submit.tlvs.byte(tag::TP_UDHI) == Some(1),
        format: submit.msg_format,
        content: submit.msg_content.0.clone(),
        fields: submit.to_value(),
    }
}

/// YYYYMMDDhhmmss.
fn seconds(at_ms: i64) -> String {
    let at = local(at_ms);
    let (month, day) = (u8::from(at.month()), at.day());
    format!("{:04}{month:02}{day:02}{:02}{:02}{:02}", at.year(), at.hour(), at.minute(), at.second())
}

/// The err that goes with a state, by §6.2.63.2; 010 for states of no table.
fn error_of(stat: &str) -> u32 {
    let listed = REPORT_ERRORS.iter().find(|(.., name)| *name == stat);
    listed.map_or(10, |(first, ..)| u32::from(*first))
}

fn report(report: &Report) -> Result<Deliver, WireError> {
    let id = own(report.id)?;
    let error = report.error.unwrap_or_else(|| error_of(&report.stat));
    let mut text = [0; 20];
    let beginning = report.text.len().min(17);
    text[..3].copy_from_slice(format!("{:03}", report.text.len().min(999)).as_bytes());
    text[3..3 + beginning].copy_from_slice(&report.text[..beginning]);
    let content = StatusReport {
        id,
        sub: FixedText::new("001")?,
        dlvrd: FixedText::new(if report.stat == "DELIVRD" { "001" } else { "000" })?,
        submit_date: FixedText::new(minutes(report.submitted_ms))?,
        done_date: FixedText::new(minutes(report.done_ms))?,
        stat: FixedText::new(&report.stat)?,
        err: FixedText::new(format!("{error:03}"))?,
        text: FixedText::from_bytes(text),
    };
    Ok(Deliver {
        msg_id: id,
        is_report: 1,
        recv_time: FixedText::new(seconds(report.done_ms))?,
        src_term_id: FixedText::new(&report.destination)?,
        dest_term_id: FixedText::new(&report.source)?,
        msg_content: Content(content.encode()),
        ..Deliver::default()
    })
}

fn uplink(part: &Part) -> Result<Deliver, WireError> {
    let tlvs = if part.has_header {
        Tlvs::default()
            .with_byte(tag::TP_UDHI, 1)
            .with_byte(tag::PK_TOTAL, part.total)
            .with_byte(tag::PK_NUMBER, part.number)
    } else {
        Tlvs::default()
    };
    Ok(Deliver {
        msg_id: own(part.id)?,
        msg_format: part.format,
        recv_time: FixedText::new(seconds(part.sent_ms))?,
        src_term_id: FixedText::new(&part.from)?,
        dest_term_id: FixedText::new(&part.to)?,
        msg_content: Content(part.content.clone()),
        tlvs,
        ..Deliver::default()
    })
}
