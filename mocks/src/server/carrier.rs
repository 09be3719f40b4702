//! The carriers' SMS gateways: what CMPP, SMGP and SGIP have in common. One file per protocol tells how its messages are laid
//! out ([`Dialect`]); sessions, windows, link tests, long messages, status reports and uplink messages are done here.
//!
//! Every login, message, link test and delivery is a request like any other: stubs answer it, dials strike it, the journal shows it.
mod assembly;
pub mod callback;
mod deliver;
mod fate;
pub mod hub;
mod keepalive;
mod link;
mod login;
mod session;
mod settings;
mod site;
mod submit;
mod trouble;
mod uplink;
mod verdict;

use std::fmt;

use qiao_wire::{Authenticator, SecretText, Stamp, WireError, cmpp, frame::FrameSpec, sgip, smgp};
use serde_json::Value;
use time::{Duration, OffsetDateTime, UtcOffset};

pub use session::serve;
pub use settings::{Account, Callback, Reports, Settings};
pub use site::Site;
pub use uplink::{Uplink, send as send_uplink};
pub use verdict::{check as check_answer, check_stat};

use crate::spec::Proto;

/// Which request an answer belongs to. CMPP and SMGP count only; SGIP names node and time too.
pub type Sequence = sgip::Sequence;

/// The sequence of a protocol that only counts.
pub fn counted(counter: u32) -> Sequence {
    Sequence { counter, ..Sequence::default() }
}

/// How a gateway names a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageId {
    Cmpp(cmpp::MsgId),
    Smgp(smgp::MsgId),
    /// The sequence of the Submit.
    Sgip(Sequence),
}

impl fmt::Display for MessageId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cmpp(id) => id.fmt(out),
            Self::Smgp(id) => id.fmt(out),
            Self::Sgip(sequence) => sequence.fmt(out),
        }
    }
}

/// A login.
#[derive(Clone, Debug)]
pub struct Login {
    pub account: String,
    pub proof: Proof,
    /// MMDDHHMMSS, where the protocol has it.
    pub timestamp: Option<u32>,
    /// As asked for, on the wire.
    pub version: u8,
    /// SMGP's LoginMode, SGIP's LoginType.
    pub mode: u8,
}

/// What proves that the secret is known.
#[derive(Clone, Debug)]
pub enum Proof {
    Digest(Authenticator),
    Password(SecretText<16>),
}

/// A message to users, as submitted.
#[derive(Clone, Debug)]
pub struct Submit {
    pub source: String,
    pub destinations: Vec<String>,
    /// Whether the destinations have the form that the protocol asks for.
    pub well_addressed: bool,
    pub service: String,
    /// Whether a report is wanted of a delivered message, and of a failed one.
    pub wanted: (bool, bool),
    /// TP_udhi: the content starts with a user data header.
    pub has_header: bool,
    /// Msg_Fmt; see [`qiao_wire::sms::Encoding`].
    pub format: u8,
    pub content: Vec<u8>,
    /// All fields by their names in the protocol document.
    pub fields: Value,
}

/// What came from the peer.
#[derive(Debug)]
pub enum Inbound {
    Login(Login),
    Submit(Box<Submit>),
    /// A link test.
    Test,
    /// The peer takes its leave.
    Leave,
    /// An answer, with its result.
    Answer(u32),
    /// Something else, with the frame that answers it where one does.
    Other(Option<Vec<u8>>),
    /// A message to users that does not follow its layout.
    Unreadable(WireError),
}

/// What is sent to the peer.
pub enum Outbound<'a> {
    LoginAnswer {
        status: u32,
        login: &'a Login,
        secret: &'a [u8],
        version: u8,
    },
    SubmitAnswer {
        id: MessageId,
        result: u32,
    },
    Report(&'a Report),
    Uplink(&'a Part),
    /// SGIP: the gateway logs in at the service provider.
    Bind {
        name: &'a str,
        secret: &'a [u8],
    },
    Test,
    TestAnswer,
    Leave,
    LeaveAnswer,
}

/// What became of a message for one number.
#[derive(Clone, Debug)]
pub struct Report {
    pub id: MessageId,
    /// The service provider's number.
    pub source: String,
    pub destination: String,
    /// Seven characters.
    pub stat: String,
    /// SMGP's err, SGIP's ErrorCode; by the state where none is given.
    pub error: Option<u32>,
    /// Unix milliseconds.
    pub submitted_ms: i64,
    pub done_ms: i64,
    /// The message's beginning.
    pub text: Vec<u8>,
}

/// One part of a message from a user.
#[derive(Clone, Debug)]
pub struct Part {
    pub id: MessageId,
    /// The user.
    pub from: String,
    /// The service provider's number.
    pub to: String,
    pub service: String,
    pub has_header: bool,
    pub format: u8,
    pub content: Vec<u8>,
    /// Parts of the message and which this is, from 1.
    pub total: u8,
    pub number: u8,
    /// The text of the whole message.
    pub text: String,
    pub sent_ms: i64,
}

/// The results that a gateway itself gives, in its protocol's numbers.
#[derive(Debug)]
pub struct Codes {
    /// The message does not follow its layout.
    pub structure: u32,
    pub unknown_account: u32,
    pub authentication: u32,
    pub version: u32,
    /// A login mode that is not known.
    pub mode: u32,
    /// More connections than the account may have.
    pub connections: u32,
    /// Flow control: too many unanswered, or busy.
    pub busy: u32,
    pub too_long: u32,
    pub source_number: u32,
    pub destination_number: u32,
}

/// The result of a message that no stub answers, or whose stub's answer cannot be understood: in no protocol's table.
pub const UNANSWERABLE: u32 = 255;

/// How one protocol lays its messages out.
pub trait Dialect: Send + Sync + 'static {
    fn proto(&self) -> Proto;
    /// The versions by their names, with the byte that the agreed one is known by.
    fn versions(&self) -> &'static [(&'static str, u8)];
    /// The agreed version for the one asked for; none where it is not spoken.
    fn version(&self, asked: u8) -> Option<u8>;
    /// Characters of an account's id at most.
    fn account_length(&self) -> usize;
    /// The largest number of a gateway.
    fn largest_gateway(&self) -> u32;
    fn window(&self) -> u32;
    /// Whether idle connections are tested; otherwise they are closed.
    fn tests_links(&self) -> bool;
    /// Whether deliveries travel on a connection that the gateway opens.
    fn calls_back(&self) -> bool {
        false
    }
    fn codes(&self) -> &'static Codes;
    fn frame(&self) -> FrameSpec;
    /// # Errors
    /// A frame that is no message of the protocol; the connection cannot go on.
    fn read(&self, frame: &[u8], version: u8) -> Result<(Sequence, Inbound), WireError>;
    /// # Errors
    /// A value that has no room in its field.
    fn write(&self, sequence: Sequence, message: &Outbound<'_>, version: u8) -> Result<Vec<u8>, WireError>;
    /// Whether the login was made with this secret.
    fn is_authentic(&self, login: &Login, secret: &[u8]) -> bool;
    /// Whether a connection logged in with this mode may send messages, and whether it takes deliveries; none for modes that are
    /// not known.
    fn directions(&self, mode: u8) -> Option<(bool, bool)>;
    /// The sequence of a request of the gateway.
    fn sequence(&self, gateway: u32, at: Stamp, counter: u32) -> Sequence;
    /// The id of a message taken at that time; `submitted` is the request's own sequence.
    fn message_id(&self, gateway: u32, at: Stamp, number: u32, submitted: Sequence) -> MessageId;
    /// Seconds in which ids count, and how many of them there are.
    fn id_space(&self) -> (i64, u32);
}

/// The carriers' local time (UTC+8).
pub fn local(at_ms: i64) -> OffsetDateTime {
    let zone = UtcOffset::from_hms(8, 0, 0).unwrap_or(UtcOffset::UTC);
    let at = OffsetDateTime::UNIX_EPOCH.checked_add(Duration::milliseconds(at_ms));
    at.unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(zone)
}

/// Month to second of a local time.
pub fn stamp(at: OffsetDateTime) -> Stamp {
    let made = Stamp::new(u8::from(at.month()), at.day(), at.hour(), at.minute(), at.second());
    made.expect("a calendar time is within the bounds of a stamp")
}

/// YYMMDDhhmm of a local time.
pub fn minutes(at_ms: i64) -> String {
    let at = local(at_ms);
    let year = at.year().rem_euclid(100);
    format!("{year:02}{:02}{:02}{:02}{:02}", u8::from(at.month()), at.day(), at.hour(), at.minute())
}
