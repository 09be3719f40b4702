//! Tests of dual control: what is refused without two operators, and what the journal keeps.
use super::*;
use crate::{
    storage::{KeyStorage, LockKind, MemoryStorage},
    vault::{LockChange, NewVersion, RootSecret, VaultState},
};
use std::sync::Arc;

struct People {
    vault: Vault,
}

impl People {
    fn new() -> Self {
        let vault = Vault::in_memory().unwrap();
        for name in ["anna", "ben", "cora"] {
            vault.generate(&key(&format!("vault:{name}")), KeyKind::Sm2, Purpose::Sign).unwrap();
        }
        Self { vault }
    }

    fn operator(&self, name: &str) -> Operator {
        let public = self.vault.export_public(&key(&format!("vault:{name}"))).unwrap();
        Operator { name: name.into(), public: public.to_vec() }
    }

    fn sign(&self, mut request: RootRequest, names: &[&str]) -> RootRequest {
        for name in names {
            request.sign(name, &self.vault.key(&key(&format!("vault:{name}")))).unwrap();
        }
        request
    }
}

fn key(text: &str) -> KeyRef {
    text.parse().unwrap()
}

fn root(byte: u8) -> RootSecret {
    RootSecret::KeyFile(vec![byte; 32].into())
}

/// A vault under dual control with a retired version to destroy.
fn dual(people: &People) -> (Vault, Arc<MemoryStorage>) {
    let storage = Arc::<MemoryStorage>::default();
    let vault = Vault::open(storage.clone());
    vault.init_dual(&root(1), &[people.operator("anna"), people.operator("ben")]).unwrap();
    let name = key("vault:k");
    vault.generate(&name, KeyKind::Sm4, Purpose::Encrypt).unwrap();
    vault.rotate(&name, NewVersion::Generated).unwrap();
    vault.retire(&name.at(1)).unwrap();
    (vault, storage)
}

fn destroy() -> RootOperation {
    RootOperation::Destroy(key("vault:k#1"))
}

fn why(result: Result<impl Sized, VaultError>) -> String {
    match result.err().expect("a refusal") {
        VaultError::NotApproved { why } => why,
        other => panic!("{other}"),
    }
}

#[test]
fn a_key_is_destroyed_once_two_operators_signed_and_the_journal_tells_who() {
    let people = People::new();
    let (vault, _) = dual(&people);
    let needs = vault.destroy(&key("vault:k#1"), None).unwrap_err();
    assert!(
        matches!(&needs, VaultError::NeedsApproval { operation } if operation == "destroy vault:k#1"),
        "{needs}"
    );
    let request = people.sign(vault.request(&destroy(), 3600).unwrap(), &["anna", "ben"]);
    assert_eq!(vault.destroy(&key("vault:k#1"), Some(&request)).unwrap().state, KeyState::Destroyed);
    let journal = vault.journal().unwrap();
    let last = journal.last().unwrap();
    assert_eq!((last.number, last.operation.as_str()), (2, "destroy vault:k#1"));
    assert_eq!(last.operators, ["anna", "ben"]);
}

#[test]
fn refuses_too_few_foreign_altered_late_and_used_requests_and_says_why() {
    let people = People::new();
    let (vault, _) = dual(&people);
    let (other, _) = dual(&people);
    let version = key("vault:k#1");
    let fresh = || vault.request(&destroy(), 3600).unwrap();
    let refused = |request: &RootRequest| why(vault.destroy(&version, Some(request)));
    assert!(refused(&fresh()).contains("nobody signed"));
    assert!(refused(&people.sign(fresh(), &["anna"])).contains("only anna signed"));
    assert!(refused(&people.sign(fresh(), &["anna", "cora"])).contains("cora is no operator"));
    let mut twice = people.sign(fresh(), &["anna"]);
    twice.approvals.push(twice.approvals[0].clone());
    assert!(refused(&twice).contains("only anna signed"));
    let mut borrowed = people.sign(fresh(), &["anna"]);
    borrowed.approvals.push(Approval { operator: "ben".into(), ..borrowed.approvals[0].clone() });
    assert!(refused(&borrowed).contains("signature of ben does not hold"));
    let foreign = people.sign(other.request(&destroy(), 3600).unwrap(), &["anna", "ben"]);
    assert!(refused(&foreign).contains("another vault"));
    let backup = people.sign(vault.request(&RootOperation::Backup, 3600).unwrap(), &["anna", "ben"]);
    assert!(refused(&backup).contains("it is to write a backup"));
    let mut later = fresh();
    let expires = later.expires().unwrap();
    later.statement = later.statement.replace(&expires.to_string(), &(expires + 90_000).to_string());
    assert!(refused(&people.sign(later, &["anna", "ben"])).contains("time is over"));
    let mut altered = people.sign(fresh(), &["anna", "ben"]);
    altered.statement = altered.statement.replace("nonce: ", "nonce: 0").replace("nonce: 0", "nonce: ");
    altered.statement.replace_range(altered.statement.len() - 1.., "g");
    assert!(refused(&altered).contains("does not hold"));
    assert!(vault.request(&destroy(), 86_401).is_err());

    let once = people.sign(vault.request(&RootOperation::Backup, 3600).unwrap(), &["ben", "anna"]);
    vault.backup(&root(1), &root(2), Some(&once)).unwrap();
    assert!(why(vault.backup(&root(1), &root(2), Some(&once))).contains("used already"));
}

#[test]
fn dual_control_cannot_be_switched_off_in_the_storage() {
    let people = People::new();
    let (vault, storage) = dual(&people);
    let old = storage.header().unwrap().unwrap();
    let new = VaultHeader { control: Control::Single, ..old.clone() };
    storage.apply(&[KeyChange::Header { expected: Some(old), new }]).unwrap();
    // A vault that is open keeps to what it verified; one that opens now does not open.
    assert!(matches!(vault.destroy(&key("vault:k#1"), None), Err(VaultError::NeedsApproval { .. })));
    vault.seal();
    assert!(matches!(vault.unseal(&root(1)), Err(VaultError::WrongRoot)));
}

#[test]
fn operators_change_by_two_signatures_and_no_other_way() {
    let people = People::new();
    let (vault, _) = dual(&people);
    let cora = people.operator("cora");
    assert!(matches!(vault.register_operator(&cora, None), Err(VaultError::NeedsApproval { .. })));
    let name = key("vault:operator/cora");
    assert!(vault.import_public(&name, Purpose::Sign, &cora.public).is_err());
    assert!(vault.rotate(&key("vault:operator/ben"), NewVersion::Public(&cora.public)).is_err());
    assert!(vault.generate(&key("vault:operator/eve"), KeyKind::Sm2, Purpose::Sign).is_err());

    let public = cora.public[1..].try_into().unwrap();
    let operation = RootOperation::RegisterOperator { name: "cora".into(), public };
    let request = people.sign(vault.request(&operation, 600).unwrap(), &["anna", "ben"]);
    vault.register_operator(&cora, Some(&request)).unwrap();
    let operation = RootOperation::RemoveOperator { name: "ben".into() };
    let request = people.sign(vault.request(&operation, 600).unwrap(), &["anna", "cora"]);
    vault.remove_operator("ben", Some(&request)).unwrap();
    let request = people.sign(vault.request(&destroy(), 600).unwrap(), &["anna", "ben"]);
    assert!(why(vault.destroy(&key("vault:k#1"), Some(&request))).contains("ben is no operator"));
    let operation = RootOperation::RemoveOperator { name: "anna".into() };
    let request = people.sign(vault.request(&operation, 600).unwrap(), &["anna", "cora"]);
    let error = vault.remove_operator("anna", Some(&request)).unwrap_err().to_string();
    assert!(error.contains("two operators must remain"), "{error}");
}

#[test]
fn locks_change_and_keys_leave_and_come_in_only_with_two_signatures() {
    let people = People::new();
    let (vault, _) = dual(&people);
    let change = LockChange::Add(&root(7));
    assert!(matches!(vault.change_locks(&root(1), change, None), Err(VaultError::NeedsApproval { .. })));
    let form = crate::vault::LockForm { kind: LockKind::KeyFile, shares: None };
    let request = people.sign(vault.request(&RootOperation::AddLock(form), 600).unwrap(), &["anna", "ben"]);
    vault.change_locks(&root(1), LockChange::Add(&root(7)), Some(&request)).unwrap();
    vault.seal();
    vault.unseal(&root(7)).unwrap();
    assert_eq!(vault.locks().unwrap().len(), 2);
    let plain = vault.import(&key("vault:n"), KeyKind::Sm4, Purpose::Encrypt, &[1; 16]).unwrap_err();
    assert!(plain.to_string().contains("wrapped"), "{plain}");
    let plain = vault.rotate(&key("vault:k"), NewVersion::Material(&[1; 16])).unwrap_err();
    assert!(plain.to_string().contains("wrapped"), "{plain}");
    vault.import(&key("vault:password"), KeyKind::Secret, Purpose::Secret, b"partner's").unwrap();
}

#[test]
fn a_backup_is_restored_only_by_the_operators_it_holds_and_keeps_the_journal() {
    let people = People::new();
    let (vault, _) = dual(&people);
    assert!(matches!(vault.backup(&root(1), &root(2), None), Err(VaultError::NeedsApproval { .. })));
    let request = people.sign(vault.request(&RootOperation::Backup, 600).unwrap(), &["anna", "ben"]);
    let text = vault.backup(&root(1), &root(2), Some(&request)).unwrap();
    let fresh = Vault::open(Arc::<MemoryStorage>::default());
    let refused = fresh.restore(&text, &root(2), &root(3), None);
    assert!(matches!(refused, Err(VaultError::NeedsApproval { .. })));
    assert_eq!(fresh.state().unwrap(), VaultState::Uninitialised);
    let request = people.sign(fresh.request_restore(&text, 600).unwrap(), &["anna", "ben"]);
    fresh.restore(&text, &root(2), &root(3), Some(&request)).unwrap();
    fresh.unseal(&root(3)).unwrap();
    assert_eq!(fresh.control().unwrap(), Control::Dual);
    let operations: Vec<_> = fresh.journal().unwrap().into_iter().map(|entry| entry.operation).collect();
    assert_eq!(operations, ["make the vault", "write a backup", "restore a backup"]);
}

#[test]
fn an_altered_journal_is_told_and_stops_root_operations() {
    let people = People::new();
    let (vault, storage) = dual(&people);
    // A storage that lets an entry be altered: a fresh one with all but the words the same.
    let altered = Arc::<MemoryStorage>::default();
    let mut entry = storage.journal().unwrap().remove(0);
    entry.operators = vec!["cora".into()];
    let mut changes = vec![
        KeyChange::Header { expected: None, new: storage.header().unwrap().unwrap() },
        KeyChange::Journal(entry),
    ];
    changes.extend(storage.keys().unwrap().into_iter().map(KeyChange::Insert));
    altered.apply(&changes).unwrap();
    let other = Vault::open(altered);
    other.unseal(&root(1)).unwrap();
    assert!(matches!(other.journal(), Err(VaultError::AlteredRecord { key }) if key == "journal entry 1"));
    let request = people.sign(vault.request(&destroy(), 600).unwrap(), &["anna", "ben"]);
    assert!(matches!(
        other.destroy(&key("vault:k#1"), Some(&request)),
        Err(VaultError::AlteredRecord { .. })
    ));
}

#[test]
fn dual_control_begins_with_two_operators_with_keys_of_their_own() {
    let people = People::new();
    let vault = Vault::open(Arc::<MemoryStorage>::default());
    let (anna, ben) = (people.operator("anna"), people.operator("ben"));
    let same_key = Operator { name: "ben".into(), public: anna.public[1..].to_vec() };
    for operators in [vec![anna.clone()], vec![anna.clone(), same_key], vec![anna.clone(), anna.clone()]] {
        assert!(vault.init_dual(&root(1), &operators).is_err());
    }
    let wrong = Operator { name: "ben/x".into(), ..ben.clone() };
    assert!(vault.init_dual(&root(1), &[anna.clone(), wrong]).is_err());
    assert_eq!(vault.state().unwrap(), VaultState::Uninitialised);
    vault.init_dual(&root(1), &[anna, ben]).unwrap();
    assert_eq!(vault.journal().unwrap()[0].operators, ["anna", "ben"]);
}
