//! The return codes of GM/T 0018-2012 annex A, with what an operator makes of them.

/// `SDR_BASE`.
const BASE: u32 = 0x0100_0000;

/// A device function that did not succeed. Holds no data of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{function} gave {code:#010x}: {}", text(*code))]
pub struct SdfError {
    /// The standard's name of the function.
    pub function: &'static str,
    pub code: u32,
}

/// What follows from a return code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The device is gone or broken: its sessions are lost.
    Device,
    /// The device has no further session to give.
    Exhausted,
    /// The password of the key index is wrong or missing.
    Password,
    /// The device cannot do this, or has no such key; another session changes nothing.
    Unfit,
    /// The data did not hold: a signature, a ciphertext, a code.
    Data,
    /// Anything else, among it what a lost session looks like; a fresh session may help.
    Other,
}

/// A code of the standard: the function that reports it decides nothing.
pub mod codes {
    use super::BASE;
    pub const UNKNOWN: u32 = BASE + 0x01;
    pub const NOT_SUPPORTED: u32 = BASE + 0x02;
    pub const COMMUNICATION: u32 = BASE + 0x03;
    pub const HARDWARE: u32 = BASE + 0x04;
    pub const OPEN_DEVICE: u32 = BASE + 0x05;
    pub const OPEN_SESSION: u32 = BASE + 0x06;
    pub const NO_RIGHT: u32 = BASE + 0x07;
    pub const NO_KEY: u32 = BASE + 0x08;
    pub const NO_ALGORITHM: u32 = BASE + 0x09;
    pub const NO_MODE: u32 = BASE + 0x0a;
    pub const PUBLIC_KEY: u32 = BASE + 0x0b;
    pub const PRIVATE_KEY: u32 = BASE + 0x0c;
    pub const SIGN: u32 = BASE + 0x0d;
    pub const VERIFY: u32 = BASE + 0x0e;
    pub const SYMMETRIC: u32 = BASE + 0x0f;
    pub const STEP: u32 = BASE + 0x10;
    pub const KEY_TYPE: u32 = BASE + 0x14;
    pub const KEY: u32 = BASE + 0x15;
    pub const ENCRYPTED_DATA: u32 = BASE + 0x16;
    pub const RANDOM: u32 = BASE + 0x17;
    pub const PRIVATE_KEY_RIGHT: u32 = BASE + 0x18;
    pub const MAC: u32 = BASE + 0x19;
    pub const NO_BUFFER: u32 = BASE + 0x1c;
    pub const IN_ARGUMENT: u32 = BASE + 0x1d;
    pub const OUT_ARGUMENT: u32 = BASE + 0x1e;
}

/// Code, its name in the standard with what it means, what follows. In the standard's order.
const TABLE: &[(u32, &str, Class)] = &[
    (codes::UNKNOWN, "SDR_UNKNOWERR: the device does not say why", Class::Other),
    (codes::NOT_SUPPORTED, "SDR_NOTSUPPORT: the device does not have this function", Class::Unfit),
    (codes::COMMUNICATION, "SDR_COMMFAIL: the device does not answer", Class::Device),
    (codes::HARDWARE, "SDR_HARDFAIL: the device's hardware does not answer", Class::Device),
    (codes::OPEN_DEVICE, "SDR_OPENDEVICE: the device cannot be opened", Class::Device),
    (codes::OPEN_SESSION, "SDR_OPENSESSION: the device gives no further session", Class::Exhausted),
    (codes::NO_RIGHT, "SDR_PARDENY: the right to use the private key is missing", Class::Password),
    (codes::NO_KEY, "SDR_KEYNOTEXIST: the device has no key at this index", Class::Unfit),
    (codes::NO_ALGORITHM, "SDR_ALGNOTSUPPORT: the device does not have this algorithm", Class::Unfit),
    (codes::NO_MODE, "SDR_ALGMODNOTSUPPORT: the device does not have this mode", Class::Unfit),
    (codes::PUBLIC_KEY, "SDR_PKOPERR: the public key operation failed", Class::Data),
    (codes::PRIVATE_KEY, "SDR_SKOPERR: the private key operation failed", Class::Data),
    (codes::SIGN, "SDR_SIGNERR: the signature failed", Class::Other),
    (codes::VERIFY, "SDR_VERIFYERR: the signature does not hold", Class::Data),
    (codes::SYMMETRIC, "SDR_SYMOPERR: the symmetric operation failed", Class::Data),
    (codes::STEP, "SDR_STEPERR: a step was left out", Class::Other),
    (BASE + 0x11, "SDR_FILESIZEERR: the file's size is wrong", Class::Other),
    (BASE + 0x12, "SDR_FILENOEXIST: there is no such file", Class::Other),
    (BASE + 0x13, "SDR_FILEOFSERR: the place in the file is wrong", Class::Other),
    (codes::KEY_TYPE, "SDR_KEYTYPEERR: the key is of another type", Class::Unfit),
    (codes::KEY, "SDR_KEYERR: the key is wrong", Class::Data),
    (codes::ENCRYPTED_DATA, "SDR_ENCDATAERR: the ECC ciphertext is wrong", Class::Data),
    (codes::RANDOM, "SDR_RANDERR: the device gave no randomness", Class::Device),
    (codes::PRIVATE_KEY_RIGHT, "SDR_PRKRERR: the password of the private key was refused", Class::Password),
    (codes::MAC, "SDR_MACERR: the authentication code failed", Class::Data),
    (BASE + 0x1a, "SDR_FILEEXISTS: the file is there already", Class::Other),
    (BASE + 0x1b, "SDR_FILEWERR: the file cannot be written", Class::Other),
    (codes::NO_BUFFER, "SDR_NOBUFFER: the device has no memory left for this", Class::Other),
    (codes::IN_ARGUMENT, "SDR_INARGERR: the device refused an argument", Class::Other),
    (codes::OUT_ARGUMENT, "SDR_OUTARGERR: the device refused a place for its result", Class::Other),
];

/// What a return code means.
pub fn text(code: u32) -> &'static str {
    let known = TABLE.iter().find(|(known, ..)| *known == code);
    known.map_or("a code of the vendor's own; see the device's manual", |(_, text, _)| text)
}

impl SdfError {
    pub fn class(&self) -> Class {
        TABLE.iter().find(|(known, ..)| *known == self.code).map_or(Class::Other, |(.., class)| *class)
    }

    /// What is wrong, without the function; for where only a fixed text fits.
    pub fn text(&self) -> &'static str {
        text(self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_standard_has_a_text_and_a_class() {
        for (offset, (code, text, _)) in (1..).zip(TABLE) {
            assert_eq!(*code, BASE + offset);
            assert!(text.starts_with("SDR_"), "{text}");
        }
        assert_eq!(TABLE.len(), 0x1e);
    }

    #[test]
    fn an_error_names_its_function_and_its_code() {
        let error = SdfError { function: "SDF_InternalSign_ECC", code: 0x0100_0018 };
        assert_eq!(
            error.to_string(),
            "SDF_InternalSign_ECC gave 0x01000018: SDR_PRKRERR: the password of the private key was refused"
        );
        assert_eq!(error.class(), Class::Password);
        let vendor = SdfError { function: "SDF_Encrypt", code: 0x0200_0001 };
        assert_eq!(vendor.class(), Class::Other);
        assert!(vendor.to_string().contains("vendor's own"));
    }
}
