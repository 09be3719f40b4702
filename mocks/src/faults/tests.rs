//! Which fault strikes which request.
use super::*;

fn dial(yaml_as_json: serde_json::Value) -> LiveDial {
    let spec: Dial = serde_json::from_value(yaml_as_json).expect("a dial");
    LiveDial::compile(&spec, "ems", None, Instant::now()).expect("compiles")
}

fn aim<'a>(stub: Option<&'a str>, item: Option<&'a str>) -> Aim<'a> {
    Aim {
        listener: "rest",
        proto: crate::spec::Proto::Http,
        now_ms: 0,
        item,
        stub,
        own_delay: None,
        own_fault: None,
        asked: None,
        push: None,
    }
}

fn strike(dials: &[LiveDial], aim: Aim<'_>, instance: &mut Instance) -> Option<FaultKind> {
    let count = instance.count;
    let applied =
        apply(aim, dials.iter(), &|| Entropy::of(1, &[], count), Some(instance), false, Instant::now());
    applied.fault.map(|fault| fault.kind)
}

#[test]
fn the_first_n_fail_and_then_it_works() {
    let dials = [dial(serde_json::json!({"id": "d", "fault": {"kind": "status", "first": 2}}))];
    let mut instance = Instance::default();
    let struck: Vec<bool> =
        (0..4).map(|_| strike(&dials, aim(None, None), &mut instance).is_some()).collect();
    assert_eq!(struck, [true, true, false, false]);
}

#[test]
fn counting_per_key_gives_every_key_its_own_first() {
    let dials = [dial(serde_json::json!({"id": "d", "fault": {"kind": "status", "first": 1, "per": "key"}}))];
    let (mut one, mut other) = (Instance::default(), Instance::default());
    assert!(strike(&dials, aim(None, None), &mut one).is_some());
    assert!(strike(&dials, aim(None, None), &mut other).is_some());
    assert!(strike(&dials, aim(None, None), &mut one).is_none());
}

#[test]
fn a_dial_is_for_what_it_names_and_every_nth() {
    let dials = [dial(
        serde_json::json!({"id": "d", "for": {"item": "A", "stub": "s"}, "fault": {"kind": "reset", "every": 3}}),
    )];
    let mut instance = Instance::default();
    assert!(strike(&dials, aim(Some("s"), Some("B")), &mut instance).is_none());
    let struck: Vec<bool> =
        (0..6).map(|_| strike(&dials, aim(Some("s"), Some("A")), &mut instance).is_some()).collect();
    assert_eq!(struck, [false, false, true, false, false, true]);
}

#[test]
fn a_dial_ends_by_itself() {
    let spec: Dial =
        serde_json::from_value(serde_json::json!({"id": "d", "fault": {"kind": "reset"}})).expect("dial");
    let now = Instant::now();
    let dial = LiveDial::compile(&spec, "ems", Some(Duration::from_secs(10)), now).expect("compiles");
    assert!(dial.is_for(&aim(None, None), now));
    assert!(!dial.is_for(&aim(None, None), now + Duration::from_secs(10)));
}

#[test]
fn the_request_goes_before_dials_and_dials_before_the_stub() {
    let own = Arc::new(asked("html").expect("a fault"));
    let dials = [dial(serde_json::json!({"id": "d", "fault": {"kind": "reset"}}))];
    let mut instance = Instance::default();
    let with = |asked| Aim { own_fault: Some(&own), asked, ..aim(Some("s"), None) };
    assert_eq!(strike(&[], with(None), &mut instance), Some(FaultKind::Html));
    assert_eq!(strike(&dials, with(None), &mut instance), Some(FaultKind::Reset));
    let asked = asked("F05; status=500").expect("a fault");
    assert_eq!((asked.kind, asked.status), (FaultKind::Status, 500));
    assert_eq!(strike(&dials, with(Some(asked)), &mut instance), Some(FaultKind::Status));
}

#[test]
fn chance_strikes_about_that_often_and_the_same_requests_every_time() {
    let dials = [dial(serde_json::json!({"id": "d", "fault": {"kind": "status", "p": 0.2}}))];
    let run = || -> Vec<bool> {
        let struck = |count| {
            let mut instance = Instance::default();
            instance.count = count;
            strike(&dials, aim(None, None), &mut instance).is_some()
        };
        (0..2_000).map(struck).collect()
    };
    let first = run();
    let struck = first.iter().filter(|struck| **struck).count();
    assert!((320..480).contains(&struck), "{struck}");
    assert_eq!(first, run());
}

#[test]
fn settings_a_kind_does_not_have_are_refused_by_name() {
    let spec = |json| -> FaultSpec { serde_json::from_value(json).expect("a fault") };
    let refusal = |json| Fault::compile(&spec(json), "x").expect_err("refused");
    let wrong = refusal(
        serde_json::json!({"kind": "reset", "status": 500, "retryAfter": "1s", "first": 1, "p": 0.5}),
    );
    let paths: Vec<_> = wrong.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["status", "retryAfter", ""]);
    assert_eq!(refusal(serde_json::json!({"kind": "drip", "after": "11m"}))[0].0, "after");
    assert!(asked("reset;status=500").is_err());
    assert!(asked("F99").is_err());
}
