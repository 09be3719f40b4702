//! CMPP 2.0 and 3.0, China Mobile's gateway, as the gateway speaks it.
use futures_util::future::BoxFuture;
use qiao_wire::{
    Content, FixedText, Head, Layout, Stamp, WireError,
    cmpp::{
        ActiveTest, ActiveTestResp, CancelResp, Command, Connect, ConnectResp, ConnectStatus, Deliver,
        LinkId, MsgId, MsgIdParts, Pdu, QueryResp, Since30, Status, StatusReport, Submit as Body, SubmitResp,
        TerminalId, Terminate, TerminateResp, Version, auth, frame,
    },
    digests_match,
    frame::FrameSpec,
};
use tokio::net::TcpStream;

use super::{
    carrier::{
        self, Codes, Dialect, Inbound, Login, MessageId, Outbound, Proof, Report, Sequence, Submit, counted,
        minutes,
    },
    sockets::Place,
};
use crate::spec::Proto;

/// Where the mock gateway listens unless the partner names a port.
pub const PORT: u16 = 8093;

/// Serves one connection.
pub fn serve(stream: TcpStream, peer: std::net::SocketAddr, place: Place) -> BoxFuture<'static, ()> {
    carrier::serve(&Cmpp, stream, peer, place)
}

/// CMPP.
pub struct Cmpp;

/// Results of CONNECT_RESP (§8.4.1.2) and SUBMIT_RESP (§8.4.3.2).
const CODES: Codes = Codes {
    structure: 1,
    unknown_account: 2,
    authentication: 3,
    version: 4,
    mode: 5,
    connections: 5,
    busy: 8,
    too_long: 6,
    source_number: 10,
    destination_number: 13,
};

const SUBMIT: u32 = 4;

fn layout(version: u8) -> Version {
    Version::of(version).unwrap_or(Version::V30)
}

fn text<const N: usize>(field: &FixedText<N>) -> String {
    String::from_utf8_lossy(field.value()).into_owned()
}

impl Dialect for Cmpp {
    fn proto(&self) -> Proto {
        Proto::Cmpp
    }

    fn versions(&self) -> &'static [(&'static str, u8)] {
        &[("2.0", 0x20), ("3.0", 0x30)]
    }

    fn version(&self, asked: u8) -> Option<u8> {
        Version::of(asked).map(Version::byte)
    }

    fn account_length(&self) -> usize {
        6
    }

    fn largest_gateway(&self) -> u32 {
        (1 << 22) - 1
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
        let answer = |command| Pdu { sequence: pdu.sequence, command }.encode(layout(version)).ok();
        let inbound = match &pdu.command {
            Command::Connect(connect) => Inbound::Login(login(connect)),
            Command::Submit(submit) => Inbound::Submit(Box::new(message(submit))),
            Command::ActiveTest(_) => Inbound::Test,
            Command::Terminate(_) => Inbound::Leave,
            Command::DeliverResp(resp) => Inbound::Answer(resp.result.0),
            Command::ActiveTestResp(_) | Command::TerminateResp(_) => Inbound::Answer(0),
            // Statistics are not kept and nothing can be withdrawn: totals of zero, and a failure.
            Command::Query(query) => Inbound::Other(answer(Command::QueryResp(QueryResp {
                time: query.time,
                query_type: query.query_type,
                query_code: query.query_code,
                ..QueryResp::default()
            }))),
            Command::Cancel(_) => {
                Inbound::Other(answer(Command::CancelResp(CancelResp { success_id: Status(1) })))
            }
            _ => Inbound::Other(None),
        };
        Ok((sequence, inbound))
    }

    fn write(&self, sequence: Sequence, message: &Outbound<'_>, version: u8) -> Result<Vec<u8>, WireError> {
        let layout = layout(version);
        let command = match message {
            Outbound::LoginAnswer { status, login, secret, version } => {
                let Proof::Digest(source) = &login.proof else {
                    return Err(unsupported("AuthenticatorSource"));
                };
                let digest = auth::ismg(layout, *status, source, secret).ok_or(unsupported("Status"))?;
                Command::ConnectResp(ConnectResp {
                    status: ConnectStatus(*status),
                    authenticator_ismg: digest,
                    version: *version,
                })
            }
            Outbound::SubmitAnswer { id, result } => {
                Command::SubmitResp(SubmitResp { msg_id: own(*id)?, result: Status(*result) })
            }
            Outbound::Report(report) => Command::Deliver(self::report(report, layout)?),
            Outbound::Uplink(part) => Command::Deliver(Deliver {
                msg_id: own(part.id)?,
                dest_id: FixedText::new(&part.to)?,
                service_id: FixedText::new(&part.service)?,
                tp_udhi: u8::from(part.has_header),
                msg_fmt: part.format,
                src_terminal_id: TerminalId::new(&part.from)?,
                msg_content: Content(part.content.clone()),
                ..Deliver::default()
            }),
            Outbound::Test => Command::ActiveTest(ActiveTest {}),
            Outbound::TestAnswer => Command::ActiveTestResp(ActiveTestResp::default()),
            Outbound::Leave => Command::Terminate(Terminate {}),
            Outbound::LeaveAnswer => Command::TerminateResp(TerminateResp {}),
            Outbound::Bind { .. } => return Err(unsupported("Bind")),
        };
        Pdu { sequence: sequence.counter, command }.encode(layout)
    }

    fn is_authentic(&self, login: &Login, secret: &[u8]) -> bool {
        let (Ok(source), Proof::Digest(digest), Some(timestamp)) =
            (FixedText::new(&login.account), &login.proof, login.timestamp)
        else {
            return false;
        };
        digests_match(&auth::source(&source, secret, timestamp), digest)
    }

    fn directions(&self, _: u8) -> Option<(bool, bool)> {
        Some((true, true))
    }

    fn sequence(&self, _: u32, _: Stamp, counter: u32) -> Sequence {
        counted(counter)
    }

    fn message_id(&self, gateway: u32, time: Stamp, number: u32, _: Sequence) -> MessageId {
        let sequence = u16::try_from(number & 0xFFFF).unwrap_or(0);
        let packed = MsgId::pack(MsgIdParts { time, gateway: gateway & 0x3F_FFFF, sequence });
        MessageId::Cmpp(packed.unwrap_or_default())
    }

    fn id_space(&self) -> (i64, u32) {
        (1, 1 << 16)
    }
}

fn unsupported(field: &'static str) -> WireError {
    WireError::Value { field, reason: "has no place in CMPP of this version" }
}

fn own(id: MessageId) -> Result<MsgId, WireError> {
    match id {
        MessageId::Cmpp(id) => Ok(id),
        _ => Err(unsupported("Msg_Id")),
    }
}

fn login(connect: &Connect) -> Login {
    Login {
        account: text(&connect.source_addr),
        proof: Proof::Digest(connect.authenticator_source),
        timestamp: Some(connect.timestamp),
        version: connect.version,
        mode: 2,
    }
}

fn message(submit: &Body) -> Submit {
    let wanted = submit.registered_delivery == 1;
    Submit {
        source: text(&submit.src_id),
        destinations: submit.dest_terminal_id.numbers.iter().map(|number| text(&number.0)).collect(),
        well_addressed: submit.dest_terminal_id.numbers.iter().all(|number| !number.0.value().is_empty()),
        service: text(&submit.service_id),
        wanted: (wanted, wanted),
        has_header: submit.tp_udhi == 1,
        format: submit.msg_fmt,
        content: submit.msg_content.0.clone(),
        fields: submit.to_value(),
    }
}

fn report(report: &Report, layout: Version) -> Result<Deliver, WireError> {
    let id = own(report.id)?;
    let content = StatusReport {
        msg_id: id,
        stat: FixedText::new(&report.stat)?,
        submit_time: FixedText::new(minutes(report.submitted_ms))?,
        done_time: FixedText::new(minutes(report.done_ms))?,
        dest_terminal_id: TerminalId::new(&report.destination)?,
        smsc_sequence: u32::try_from(id.0 & 0xFFFF).unwrap_or(0),
    };
    Ok(Deliver {
        msg_id: id,
        dest_id: FixedText::new(&report.source)?,
        src_terminal_id: TerminalId::new(&report.destination)?,
        src_terminal_type: Since30(0),
        registered_delivery: 1,
        msg_content: Content(content.encode(layout)?),
        link_id: LinkId::default(),
        ..Deliver::default()
    })
}
