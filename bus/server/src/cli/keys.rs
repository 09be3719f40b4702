//! `qiao keys …`: the vault of a node, for operators: its keys from making to destroying, what unseals it, who approves.
use clap::Subcommand;
use qiao_vault::SelfTest;

use super::{Failed, out::say, show};

mod ask;
mod backup;
mod bring;
mod init;
mod life;
mod list;
mod locks;
mod make;
mod operators;
mod place;
mod request;
mod schedule;
mod unseal;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make an empty vault: who approves, and what unseals it
    Init(init::Init),
    /// Whether the vault is sealed, what unseals it, who approves, what expires
    Status(place::Place),
    /// List every version of every key; key bytes are never shown
    List(list::List),
    /// List the keys that the definitions name; fails while one is missing
    Needed(place::Place),
    /// Generate one key, or with --missing the bus's own missing ones
    Generate(make::Generate),
    /// Take up a key that lives in a device or at a service of the settings
    Adopt(make::Adopt),
    /// Bring in a shared secret from standard input: a caller's key, a partner's password or signKey
    ImportSecret(bring::ImportSecret),
    /// Bring in a partner's public SM2 key from standard input: hex, 64 bytes or 65 with a leading 04
    ImportPublic(bring::ImportPublic),
    /// Bring in a key that was SM2-encrypted for a pair of this vault, from standard input: DER in hex
    Import(bring::ImportWrapped),
    /// Print the public half of an SM2 key, for a partner: 04, x, y in hex
    ExportPublic(make::One),
    /// Print a key SM2-encrypted for another key: DER in hex. A root operation
    Export(bring::Export),
    /// Print a request for a certificate of a signing pair: PKCS#10 in PEM
    Csr(make::Csr),
    /// Make a new version that is used at once; the one so far goes on accepting
    Rotate(make::One),
    /// Make a new version that accepts and is not yet used
    Announce(make::One),
    /// Use an announced version (vault:name#2), or take a rotation back
    Activate(make::One),
    /// End the overlap: the version (vault:name#1) accepts no more and is reached by its number alone
    Retire(make::One),
    /// Wipe a retired version for good. A root operation
    Destroy(life::Destroy),
    /// Say until when a version should have been replaced
    Expiry(life::Expiry),
    /// Let a key rotate by itself
    Schedule(schedule::Schedule),
    /// Unseal the vault of the running node; a custodian gives one share
    Unseal(unseal::Unseal),
    /// Seal the vault of the running node: calls are refused from then on
    Seal(place::Place),
    /// Unseal by passphrase: add, change, remove. Root operations
    Passphrase(locks::Passphrase),
    /// Unseal by custodians, m of n together: split, replace, remove. Root operations
    Custodians(locks::Custodians),
    /// Unseal by a file: add, remove. Root operations
    KeyFile(locks::KeyFile),
    /// Unseal by a cryptographic device: add, remove. Root operations
    Device(locks::DeviceLock),
    /// Write the whole vault to a file, opened by a passphrase of its own. A root operation
    Backup(backup::Backup),
    /// Fill an empty vault from a backup. A root operation
    Restore(backup::Restore),
    /// Those who approve root operations: make a key for one, register, remove
    Operator(operators::Operators),
    /// Ask for a root operation: writes a request for two operators to sign
    Request(request::Request),
    /// Sign a request with an operator's own key
    Approve(request::Approve),
    /// Show the root operations so far, and who approved them
    Journal(place::Place),
    /// Bring every kept body under the current version of vault:record/data, beside a running node too
    Reencrypt(super::reencrypt::Arguments),
    /// Run the cryptographic self-test: published vectors of every algorithm
    SelfTest(Test),
}

#[derive(clap::Args)]
struct Test {
    /// For machines: one JSON array
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: Arguments) -> Result<(), Failed> {
    match arguments.action {
        Action::Init(arguments) => init::run(&arguments),
        Action::Status(place) => list::status(&place),
        Action::List(arguments) => list::list(&arguments),
        Action::Needed(place) => list::needed(&place),
        Action::Generate(arguments) => make::generate(&arguments),
        Action::Adopt(arguments) => make::adopt(&arguments),
        Action::ImportSecret(arguments) => bring::secret(&arguments),
        Action::ImportPublic(arguments) => bring::public(&arguments),
        Action::Import(arguments) => bring::wrapped(&arguments),
        Action::ExportPublic(one) => make::export_public(&one),
        Action::Export(arguments) => bring::export(&arguments),
        Action::Csr(arguments) => make::csr(&arguments),
        Action::Rotate(one) => life::rotate(&one),
        Action::Announce(one) => life::announce(&one),
        Action::Activate(one) => life::activate(&one),
        Action::Retire(one) => life::retire(&one),
        Action::Destroy(arguments) => life::destroy(&arguments),
        Action::Expiry(arguments) => life::expiry(&arguments),
        Action::Schedule(arguments) => schedule::run(&arguments),
        Action::Unseal(arguments) => unseal::unseal(&arguments),
        Action::Seal(place) => unseal::seal(&place),
        Action::Passphrase(arguments) => locks::passphrase(&arguments),
        Action::Custodians(arguments) => locks::custodians(&arguments),
        Action::KeyFile(arguments) => locks::key_file(&arguments),
        Action::Device(arguments) => locks::device(&arguments),
        Action::Backup(arguments) => backup::backup(&arguments),
        Action::Restore(arguments) => backup::restore(&arguments),
        Action::Operator(arguments) => operators::run(&arguments),
        Action::Request(arguments) => request::request(&arguments),
        Action::Approve(arguments) => request::approve(&arguments),
        Action::Journal(place) => list::journal(&place),
        Action::Reencrypt(arguments) => super::reencrypt::run(&arguments),
        Action::SelfTest(arguments) => self_test(&arguments),
    }
}

fn self_test(arguments: &Test) -> Result<(), Failed> {
    let results = qiao_vault::self_test(&qiao_vault::PureProvider);
    if arguments.json {
        say!("{}", serde_json::to_string_pretty(&results)?);
    } else {
        let verdict = |test: &SelfTest| if test.passed { "pass" } else { "FAIL" }.to_owned();
        let rows = results.iter().map(|test| vec![verdict(test), test.name.to_owned()]);
        say!("{}", show::table(&["RESULT", "CHECK"], rows.collect()));
    }
    match results.iter().filter(|test| !test.passed).count() {
        0 => Ok(()),
        failed => Err(Failed(format!("{failed} check(s) failed: no key may be used on this machine"))),
    }
}

/// The word an enum has in JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
