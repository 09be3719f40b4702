//! The vault: national cryptography, keys that never leave it, and partners' envelopes as data. For every other crate.
pub mod certificate;
pub mod challenge;
pub mod classic;
pub mod encoding;
pub mod envelope;
pub mod error;
pub mod external;
pub mod field;
pub mod format;
pub mod integrity;
pub mod key;
pub mod key_text;
pub mod message;
pub mod provider;
pub mod remote;
pub mod revocation;
pub mod sdf;
pub mod seals;
pub mod self_test;
pub mod storage;
pub mod timestamp;
pub mod vault;

pub use classic::{ClassicSignature, RsaEncryption};
pub use encoding::TextForm;
pub use envelope::{
    Envelope, EnvelopeSpec, FreshnessSpec, Mistake, Params, RequiredKey, Role, Side, Stale, Stamp, TimeForm,
    required_keys,
};
pub use error::VaultError;
pub use external::{DeviceKind, DeviceStatus, ExternalKey, KeyDevice};
pub use field::{FieldStore, Mask, Protected, ProtectedField, Reencrypted};
pub use format::{CipherFormat, CipherOrder, PointForm, SignatureFormat};
pub use key::{KeyInfo, KeyKind, KeyRef, KeyState, Purpose, Rotation};
#[cfg(feature = "tongsuo")]
pub use provider::tongsuo::TongsuoProvider;
pub use provider::{CryptoError, DEFAULT_SM2_ID, Padding, Provider, Sm4Mode, pure::PureProvider};
pub use remote::{Credential, RemoteDevice, RemoteSettings, RemoteSpec};
pub use sdf::{DecryptForm, SdfDevice, SdfSettings};
pub use self_test::{SelfTest, self_test};
pub use storage::{
    Control, CustodianSet, FileStorage, JournalEntry, KeyChange, KeyStorage, LockKind, MemoryStorage,
    PassphraseCost, StorageError, StoredKey, VaultHeader, hold_contract,
};
pub use vault::{
    Approval, KeyHandle, LockChange, LockForm, NewVersion, Operator, Progress, RootOperation, RootRequest,
    RootSecret, UnsealError, Unsealing, Vault, VaultState, Wrapped, join_shares, split_shares,
};
pub use zeroize::Zeroizing;
