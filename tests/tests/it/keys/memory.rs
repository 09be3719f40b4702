//! What a running node forgets: a destroyed key is nowhere in its memory, nor is any key once the vault is sealed.
use qiao_tests::memory::occurrences;

use super::*;

/// Sixteen characters that stand in no constant: `salt` tells secrets apart.
fn secret(salt: u32) -> String {
    let letter = |at: u32| {
        let mixed =
            (at + 1).wrapping_mul(2_654_435_761).wrapping_add(salt.wrapping_mul(97_531)).rotate_left(11);
        char::from(b'a' + (mixed % 26) as u8)
    };
    (0..16).map(letter).collect()
}

/// The ways in which the secret could have been left behind: as it is, in hex, and in Base64.
fn forms(secret: &str) -> [Vec<u8>; 3] {
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    [secret.as_bytes().to_vec(), hex.into_bytes(), base64(secret.as_bytes()).into_bytes()]
}

/// Only whole groups of three: what follows depends on what stands after the secret.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| {
        let bits = u32::from(three[0]) << 16 | u32::from(three[1]) << 8 | u32::from(three[2]);
        [18, 12, 6, 0].map(|shift| char::from(LETTERS[(bits >> shift & 63) as usize]))
    };
    bytes.chunks_exact(3).flat_map(group).collect()
}

fn found(bus: &Bus, secret: &str) -> Vec<usize> {
    forms(secret).iter().map(|form| occurrences(bus.process(), form)).collect()
}

#[test]
fn a_used_and_destroyed_secret_is_neither_in_the_memory_nor_in_the_log_of_the_node() {
    let bus = Bus::serve_in(Bus::prepare_serve(""));
    let (here, key) = (bus.folder(), "vault:ems/sign-key");
    let (first, second) = (secret(1), secret(2));
    done(here, &["import-secret", "--rotate", key], first.as_bytes());
    let order = bus.command(&["call", "ems.order-create"]);
    assert!(order.status.success(), "{}", text(&order));
    assert!(found(&bus, &first)[0] > 0, "the scan finds a key that is in use");

    done(here, &["import-secret", "--rotate", key], second.as_bytes());
    done(here, &["retire", &format!("{key}#2")], b"");
    done(here, &["destroy", &format!("{key}#2")], b"");
    let order = bus.command(&["call", "ems.order-create"]);
    assert!(order.status.success(), "{}", text(&order));
    assert_eq!(found(&bus, &first), [0, 0, 0], "a destroyed key was left behind");

    assert!(found(&bus, &second)[0] > 0);
    done(here, &["seal"], b"");
    assert_eq!(found(&bus, &second), [0, 0, 0], "a sealed vault left a key behind");
    let kept = fs::read_to_string(here.join("data/vault.json")).expect("the storage");
    for secret in [&first, &second] {
        for form in forms(secret) {
            let form = String::from_utf8(form).expect("text");
            assert!(!bus.log().contains(&form) && !kept.contains(&form), "{form} stands in a file");
        }
    }
}

#[test]
fn what_unsealed_a_node_is_neither_in_its_memory_nor_in_its_log() {
    let folder = prepared("{file: data/vault.json}");
    let here = folder.path();
    let passphrase = secret(3);
    done(here, &["init", "--single-control", "--custodians", "2/2", "--out", "shares"], b"");
    let shares = ["--share-file", "shares/custodian-1.share", "--share-file", "shares/custodian-2.share"];
    fs::write(here.join("pass"), &passphrase).expect("written");
    done(here, &[&["passphrase", "add", "--new-file", "pass"][..], &shares].concat(), b"");
    done(here, &[&["generate", "--missing", "--stand-ins"][..], &shares].concat(), b"");
    let bus = Bus::serve_in(folder);
    done(bus.folder(), &["unseal", "--passphrase-file", "pass"], b"");
    assert_eq!(found(&bus, &passphrase), [0, 0, 0], "the passphrase was left behind");
    done(bus.folder(), &["seal"], b"");

    let value = |number| {
        let share = fs::read_to_string(bus.folder().join(format!("shares/custodian-{number}.share")))
            .expect("a share");
        share.trim().rsplit('-').nth(1).expect("a value").to_owned()
    };
    let give = |number| {
        let file = format!("shares/custodian-{number}.share");
        done(bus.folder(), &["unseal", "--with", "custodians", "--share-file", &file], b"");
    };
    give(1);
    assert!(occurrences(bus.process(), value(1).as_bytes()) > 0, "the scan finds a share that waits");
    give(2);
    for number in [1, 2] {
        let value = value(number);
        assert_eq!(occurrences(bus.process(), value.as_bytes()), 0, "share {number} was left behind");
        assert!(!bus.log().contains(&value));
    }
}
