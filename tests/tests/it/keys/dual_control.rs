//! A vault under dual control, from its making to its restoring elsewhere: nothing at its root without two operators.
use super::*;

/// Operators with keys of their own, each under the passphrase in `NAME.pass`.
fn operators(folder: &Path) {
    for name in ["anna", "ben"] {
        fs::write(folder.join(format!("{name}.pass")), format!("the passphrase of {name}\n"))
            .expect("written");
        let (key, pass) = (format!("{name}.key"), format!("{name}.pass"));
        let output = in_folder(folder, &["keys", "operator", "new", &key, "--passphrase-file", &pass], b"");
        assert!(output.status.success(), "{}", text(&output));
        fs::write(folder.join(format!("{name}.pub")), output.stdout).expect("written");
    }
}

fn approve(folder: &Path, request: &str, names: &[&str]) {
    for name in names {
        let (key, pass) = (format!("{name}.key"), format!("{name}.pass"));
        let arguments = ["keys", "approve", request, "--as", name, "--key", &key, "--passphrase-file", &pass];
        let output = in_folder(folder, &arguments, b"");
        assert!(output.status.success(), "{}", text(&output));
    }
}

fn requested(folder: &Path, out: &str, what: &[&str]) {
    // The operation comes last: it is a command of its own.
    let arguments = [&["keys", "request", "--config", "qiao.yaml", "--out", out][..], what].concat();
    let output = in_folder(folder, &arguments, b"");
    assert!(output.status.success(), "{}", text(&output));
}

const VAULT: &str = "{storage: database, file: data/vault.db, unsealKeyFile: data/vault.key}";

fn made() -> tempfile::TempDir {
    let folder = prepared(VAULT);
    let here = folder.path();
    operators(here);
    let said = refused(here, &["init"], b"");
    assert!(said.contains("--operator") && said.contains("--single-control"), "{said}");
    assert!(refused(here, &["init", "--operator", "anna=anna.pub"], b"").contains("two operators"));
    done(here, &["init", "--operator", "anna=anna.pub", "--operator", "ben=ben.pub"], b"");
    done(here, &["import-secret", "vault:caller/hotline-desk"], DESK.as_bytes());
    done(here, &["generate", "--missing", "--stand-ins"], b"");
    folder
}

#[test]
fn a_version_of_a_running_nodes_key_is_destroyed_only_once_two_operators_signed() {
    let bus = Bus::serve_in(made());
    let here = bus.folder();
    done(here, &["rotate", "vault:bus/encrypt"], b"");
    done(here, &["retire", "vault:bus/encrypt#1"], b"");
    let said = refused(here, &["destroy", "vault:bus/encrypt#1"], b"");
    assert!(said.contains("dual control") && said.contains("qiao keys request"), "{said}");
    requested(here, "destroy.json", &["destroy", "vault:bus/encrypt#1"]);
    let destroy = ["destroy", "vault:bus/encrypt#1", "--request", "destroy.json"];
    assert!(refused(here, &destroy, b"").contains("nobody signed"));
    approve(here, "destroy.json", &["anna"]);
    assert!(refused(here, &destroy, b"").contains("only anna signed"));
    approve(here, "destroy.json", &["ben"]);
    assert!(done(here, &destroy, b"").contains("#1 destroyed"));
    let journal = done(here, &["journal"], b"");
    assert!(journal.contains("destroy vault:bus/encrypt#1") && journal.contains("anna, ben"), "{journal}");
    assert!(done(here, &["status"], b"").contains("dual: two operators"));
    assert!(plain(&bus, "/metrics").1.contains("qiao_vault_dual_control 1"));
    assert_eq!(call(&bus).status, 200);
}

#[test]
fn a_backup_restored_in_another_place_by_both_operators_serves_the_same_callers() {
    let folder = made();
    let here = folder.path();
    fs::write(here.join("backup.pass"), "the backup's own passphrase\n").expect("written");
    let backup = ["backup", "vault.backup", "--backup-passphrase-file", "backup.pass"];
    assert!(refused(here, &backup, b"").contains("dual control"));
    assert!(!here.join("vault.backup").exists());
    requested(here, "backup.json", &["backup"]);
    approve(here, "backup.json", &["anna", "ben"]);
    let signed = [&backup[..], &["--request", "backup.json"]].concat();
    done(here, &signed, b"");

    let other = prepared("{file: data/restored.json, unsealKeyFile: data/restored.key}");
    let there = other.path();
    for file in ["anna.key", "anna.pass", "ben.key", "ben.pass", "backup.pass", "vault.backup"] {
        fs::copy(here.join(file), there.join(file)).expect("a copy");
    }
    fs::create_dir_all(there.join("data")).expect("made");
    let restore = ["restore", "vault.backup", "--backup-passphrase-file", "backup.pass"];
    assert!(refused(there, &restore, b"").contains("dual control"));
    requested(there, "restore.json", &["restore", "vault.backup"]);
    approve(there, "restore.json", &["ben", "anna"]);
    let signed = [&restore[..], &["--request", "restore.json"]].concat();
    assert!(done(there, &signed, b"").contains("restored"));
    let bus = Bus::serve_in(other);
    assert_eq!(call(&bus).status, 200, "{}", call(&bus).text());
    let (code, rows) = bus.json(&["selftest"]);
    assert_eq!(code, 0, "{rows}");
    let journal = done(bus.folder(), &["journal"], b"");
    assert!(journal.contains("write a backup") && journal.contains("restore a backup"), "{journal}");
}

#[test]
fn what_unseals_the_vault_changes_by_request_and_the_old_way_is_closed() {
    let folder = made();
    let here = folder.path();
    fs::write(here.join("new.pass"), "a new passphrase of the vault\n").expect("written");
    let add = ["passphrase", "add", "--new-file", "new.pass"];
    assert!(refused(here, &add, b"").contains("dual control"));
    requested(here, "add.json", &["add-lock", "passphrase"]);
    approve(here, "add.json", &["anna", "ben"]);
    assert!(done(here, &[&add[..], &["--request", "add.json"]].concat(), b"").contains("a passphrase"));
    requested(here, "replace.json", &["replace-lock", "key-file", "2/3"]);
    approve(here, "replace.json", &["anna", "ben"]);
    let wrong = ["custodians", "split", "2/3", "--out", "shares", "--request", "replace.json"];
    assert!(refused(here, &wrong, b"").contains("it is to replace a key file by 2 of 3 custodians"));
    assert!(!here.join("shares").exists(), "shares of a refused split are wiped");
    requested(here, "split.json", &["add-lock", "2/3"]);
    approve(here, "split.json", &["anna", "ben"]);
    done(here, &["custodians", "split", "2/3", "--out", "shares", "--request", "split.json"], b"");
    requested(here, "remove.json", &["remove-lock", "key-file"]);
    approve(here, "remove.json", &["anna", "ben"]);
    let said = done(here, &["key-file", "remove", "--request", "remove.json"], b"");
    assert!(said.contains("a passphrase, or 2 of 3 custodians"), "{said}");

    // The key file is still named in the settings, and opens nothing: the node waits.
    let bus = Bus::serve_in(folder);
    assert_eq!(plain(&bus, "/readyz"), (503, "sealed\n".to_owned()));
    for number in [2, 3] {
        let share = format!("shares/custodian-{number}.share");
        done(bus.folder(), &["unseal", "--with", "custodians", "--share-file", &share], b"");
    }
    assert_eq!(call(&bus).status, 200);
    done(bus.folder(), &["seal"], b"");
    done(bus.folder(), &["unseal", "--passphrase-file", "new.pass"], b"");
    assert_eq!(call(&bus).status, 200);
}
