//! Tests of the framing: splits, damage and noise, for developers of the gateway.
use proptest::prelude::*;

use super::*;

fn framing() -> Framing {
    Framing::new(&GatewayLimits::default())
}

/// Feeds pieces as the guard does: what was not passed is given again with the next piece behind it.
fn feed(framing: &mut Framing, pieces: &[&[u8]]) -> (Vec<u8>, Option<Refusal>) {
    let (mut passed, mut held) = (Vec::new(), Vec::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        let step = framing.advance(&held);
        let (Step::More { pass } | Step::Refuse { pass, .. } | Step::Break { pass, .. }) = step;
        passed.extend_from_slice(&held[..pass]);
        held.drain(..pass);
        if let Step::Refuse { refusal, .. } | Step::Break { refusal, .. } = step {
            return (passed, Some(refusal));
        }
    }
    (passed, None)
}

fn split<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9-]{0,12}"
}

/// A valid request on the wire.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let body = prop_oneof![
        Just((String::new(), Vec::new())),
        prop::collection::vec(any::<u8>(), 0..300)
            .prop_map(|body| (format!("Content-Length: {}\r\n", body.len()), body)),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..60), 0..5).prop_map(|chunks| {
            let mut wire = Vec::new();
            for chunk in chunks {
                wire.extend(format!("{:X};n=\"v\"\r\n", chunk.len()).bytes());
                wire.extend(chunk);
                wire.extend(b"\r\n");
            }
            wire.extend(b"0\r\nX-Sum: 1\r\n\r\n");
            ("Transfer-Encoding: chunked\r\n".to_owned(), wire)
        }),
    ];
    (token(), "/[a-z0-9/?&=]{0,40}", prop::collection::vec((token(), "[ -~]{0,30}"), 0..6), body).prop_map(
        |(method, target, fields, (framing, body))| {
            let mut head = format!("{method} {target} HTTP/1.1\r\nHost: bus\r\n");
            for (name, value) in fields {
                head.push_str(&format!("X-{name}: {value}\r\n"));
            }
            head.push_str(&framing);
            head.push_str("\r\n");
            let mut wire = head.into_bytes();
            wire.extend(body);
            wire
        },
    )
}

proptest! {
    #[test]
    fn valid_requests_pass_unchanged_however_they_are_split(
        requests in prop::collection::vec(request(), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let wire = requests.concat();
        let mut framing = framing();
        let (passed, refusal) = feed(&mut framing, &split(&wire, &cuts));
        prop_assert_eq!(refusal, None);
        prop_assert_eq!(passed, wire);
        prop_assert_eq!(framing.heads(), requests.len() as u64);
        prop_assert!(!framing.in_body());
    }

    #[test]
    fn bytes_of_any_kind_are_judged_the_same_however_they_are_split(
        requests in prop::collection::vec(request(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut wire = requests.concat();
        for (at, byte) in damage {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        let mut whole = framing();
        let (passed, refusal) = feed(&mut whole, &[&wire]);
        let mut pieces = framing();
        prop_assert_eq!(feed(&mut pieces, &split(&wire, &cuts)), (passed, refusal));
        prop_assert_eq!(pieces.heads(), whole.heads());
    }

    #[test]
    fn noise_never_panics(wire in prop::collection::vec(any::<u8>(), 0..600)) {
        let (passed, _) = feed(&mut framing(), &[&wire]);
        prop_assert!(passed.len() <= wire.len());
    }
}

#[test]
fn what_follows_a_refused_head_never_passes() {
    let wire = b"GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /two HTTP/1.1\r\n\r\nGET /three HTTP/1.1\r\nHost: a\r\n\r\n";
    let step = framing().advance(wire);
    assert_eq!(step, Step::Refuse { pass: 30, refusal: Refusal::MissingHost });
}

#[test]
fn a_head_may_be_as_large_as_the_limit_and_not_larger() {
    let limits = GatewayLimits { header_bytes: 200, target_bytes: 50, ..Default::default() };
    let head =
        |fill: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(fill)).into_bytes();
    let spare = 200 - head(0).len();
    let fits = Framing::new(&limits).advance(&head(spare));
    assert_eq!(fits, Step::More { pass: 200 });
    let over = Framing::new(&limits).advance(&head(spare + 1));
    assert_eq!(over, Step::Refuse { pass: 0, refusal: Refusal::HeadTooLarge });
    let endless = Framing::new(&limits).advance(&[b'a'; 300]);
    assert_eq!(endless, Step::Refuse { pass: 0, refusal: Refusal::TargetTooLong });
}
