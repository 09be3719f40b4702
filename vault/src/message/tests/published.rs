//! A signed and enveloped message made by another implementation: the sample of www.gmcert.org, in which an authority sends an
//! encryption pair to the holder of a signing pair (GM/T 0014). The sample's own names and keys are of test people.
use super::*;
use crate::{
    key::{KeyRef, Purpose},
    key_text::read_sm2_secret,
    vault::Vault,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

const MESSAGE: &str = "\
    MIIDwwYKKoEcz1UGAQQCBKCCA7MwggOvAgEBMYGfMIGcAgEBMAwAAAIIAs64zJDLT8UwCwYJKoEcz1UBgi0DBHwwegIhAPbXLhqtkA/HeYKgPeZNPP4k\
    T2/PqS7K8NiBvAFCBsf+AiEA4m9ZyghfFUaE1K4kre9T/R7Td4hVQPij9GOloRykKJ8EIMJ/zBGeWaqgtCUFu99S3Wovtd6+jN1tDkTJPWgZ6uu1BBCo\
    bCvaWMr0Of+Z686i/wVrMQwwCgYIKoEcz1UBgxEwWQYKKoEcz1UGAQQCATAJBgcqgRzPVQFogEDM1pUC/MDTCRCQuZiIxZYZzNaVAvzA0wkQkLmYiMWW\
    GUnT7MvXe2M2khckxgU+ZMVBNDpf4EFl6+C2PRPcy8ROoIIB4jCCAd4wggGDoAMCAQICCALODAD8KSAXMAoGCCqBHM9VAYN1MEIxCzAJBgNVBAYTAkNO\
    MQ8wDQYDVQQIDAbmtZnmsZ8xDzANBgNVBAcMBuadreW3njERMA8GA1UECgwI5rWL6K+VQ0EwHhcNMjExMjIzMDg0ODMzWhcNMzExMjIzMDg0ODMzWjBC\
    MQswCQYDVQQGEwJDTjEPMA0GA1UECAwG5rWZ5rGfMQ8wDQYDVQQHDAbmna3lt54xETAPBgNVBAoMCOa1i+ivlUNBMFkwEwYHKoZIzj0CAQYIKoEcz1UB\
    gi0DQgAESrOgeWQcu+dzrGUniH7/M0nG4ol5C4wfj5cPmFr6HrEZKmBnvzKo6/K65k4auohFrm2CumYkEFeeJCpXL2tx7aNjMGEwDgYDVR0PAQH/BAQD\
    AgEGMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFDaT4xTnRQn61e/qLxIt06GWPMKkMB8GA1UdIwQYMBaAFDaT4xTnRQn61e/qLxIt06GWPMKkMAoG\
    CCqBHM9VAYN1A0kAMEYCIQCw4bSylc4lIV203nQ6L0QDUgnbugidDAMO1m5d7wFhjgIhAMwly3Bd9gzOQM3vTKqVH0H2D2kUy2JDcEl5cPy1GBOhMYG4\
    MIG1AgEBME4wQjELMAkGA1UEBhMCQ04xDzANBgNVBAgMBua1meaxnzEPMA0GA1UEBwwG5p2t5beeMREwDwYDVQQKDAjmtYvor5VDQQIIAs4MAPwpIBcw\
    CgYIKoEcz1UBgxEwCwYJKoEcz1UBgi0BBEcwRQIgR7STVlgH/yy4k93+h3KRFN+dWEVeOJ7G1lRRSNXihnkCIQCHxZvmdUcv38SBCgZp+qxnpm2a+C1/\
    tWKVd/A8tW8dnw==";

/// The secret half of the receiver's signing pair, to whose encryption twin the message is addressed.
const RECIPIENT: &str = "d45951c7f5a3988159e5d5788219752701c87cc74628bbd874f7756a45d40904";
/// The secret half of the encryption pair that is sent.
const SENT: &str = "ca1c1d7f42b70273022c46c6075c8c8c92cb95f424184e7776f08fb6db750640";

#[test]
fn an_authoritys_message_opens_and_holds() {
    let message = STANDARD.decode(MESSAGE).unwrap();
    let vault = Vault::in_memory().unwrap();
    let own: KeyRef = "vault:own".parse().unwrap();
    vault.import(&own, KeyKind::Sm2, Purpose::Encrypt, &*read_sm2_secret(RECIPIENT).unwrap()).unwrap();
    // The sample names its receiver by serial number alone.
    let identity = Identity {
        issuer: vec![0, 0],
        serial: hex::decode("02ceb8cc90cb4fc5").unwrap(),
        certificate: None,
        key_id: None,
    };
    let keys = [OwnKey { key: vault.key(&own), identity }];
    // The certificate's SEQUENCE of 478 bytes inside.
    let at = message.windows(4).position(|bytes| bytes == [0x30, 0x82, 0x01, 0xde]).unwrap();
    let inside = Certificate::read(&message[at..at + 482]).unwrap();
    let authority: KeyRef = "vault:authority".parse().unwrap();
    vault.import_public(&authority, Purpose::Sign, &inside.public.sm2().unwrap()).unwrap();
    let trust = SignerTrust::Key { key: &vault.key(&authority), id: DEFAULT_SM2_ID };
    let opened = open(&PureProvider, SignedAndEnveloped, &message, None, &keys, &trust).unwrap();
    assert!(hex::encode(&*opened.content).ends_with(SENT), "zeros, then the scalar");
    assert_eq!(opened.content[..32], [0; 32]);

    // The authority's certificate is for issuing, not for messages.
    let roots = [inside];
    let chain = SignerTrust::Chain { roots: &roots, more: &[], revocation: Revocation::None, now: NOW };
    let strict = open(&PureProvider, SignedAndEnveloped, &message, None, &keys, &chain);
    assert!(matches!(strict, Err(VaultError::Refused { .. })));
}
