//! The small language in which the carriers' messages are written down: a table of fields, a table of commands.

mod values;

pub(crate) use values::check_count;
pub use values::{Authenticator, Content, FixedText, Numbers, Raw, SecretText};

use crate::error::WireError;
use serde_json::Value;

/// A cursor over one message.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// Bytes not read yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], WireError> {
        let short = WireError::Short { field, need: count, left: self.rest.len() };
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(short)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let short = WireError::Short { field, need: N, left: self.rest.len() };
        let (taken, rest) = self.rest.split_first_chunk().ok_or(short)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn byte(&mut self, field: &'static str) -> Result<u8, WireError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// Refuses a message that goes on.
    pub(crate) fn end(&self, command: &'static str) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(WireError::Trailing { command, count }),
        }
    }
}

/// One field of a message. `V` is the protocol's version, on which width and presence may depend.
pub(crate) trait Field<V>: Sized {
    fn read(input: &mut Reader<'_>, version: V, name: &'static str) -> Result<Self, WireError>;
    fn write(&self, output: &mut Vec<u8>, version: V, name: &'static str) -> Result<(), WireError>;
    /// The value for a journal: texts as text, other bytes as hex, secrets as `***`.
    fn shown(&self) -> Value;
}

/// The body of one command: its fields in wire order.
pub trait Layout {
    /// The fields' names in the protocol document, in wire order.
    const FIELDS: &'static [&'static str];

    /// The body as a JSON object by field name, for journals and matching: texts as text, other bytes as hex,
    /// secrets as `***`. It holds personal data (numbers, message content).
    fn to_value(&self) -> Value;
}

pub(crate) trait Body<V>: Sized + Layout {
    fn read(input: &mut Reader<'_>, version: V) -> Result<Self, WireError>;
    fn write(&self, output: &mut Vec<u8>, version: V) -> Result<(), WireError>;
}

/// Declares a body: `field: type = "Name_In_The_Document"`, in wire order. Gives the struct, its reader and writer.
macro_rules! layout {
    ($(#[$meta:meta])* $name:ident($version:ty) {
        $($(#[$field_meta:meta])* $field:ident: $type:ty = $wire:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        impl $crate::layout::Layout for $name {
            const FIELDS: &'static [&'static str] = &[$($wire),*];

            fn to_value(&self) -> serde_json::Value {
                serde_json::Value::Object(serde_json::Map::from_iter([
                    $(($wire.to_owned(), $crate::layout::Field::<$version>::shown(&self.$field)),)*
                ]))
            }
        }

        impl $crate::layout::Body<$version> for $name {
            #[allow(unused_variables)]
            fn read(input: &mut $crate::layout::Reader<'_>, version: $version) -> Result<Self, $crate::WireError> {
                Ok($name { $($field: $crate::layout::Field::<$version>::read(input, version, $wire)?,)* })
            }

            #[allow(unused_variables)]
            fn write(&self, output: &mut Vec<u8>, version: $version) -> Result<(), $crate::WireError> {
                $($crate::layout::Field::<$version>::write(&self.$field, output, version, $wire)?;)*
                Ok(())
            }
        }
    };
}

/// Declares a protocol's commands: `id Variant(Body) "Name in the document"`. Gives the enum and its reader and writer.
macro_rules! commands {
    ($(#[$meta:meta])* $name:ident($version:ty) of $protocol:literal {
        $($id:literal $variant:ident($body:ty) $wire:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name { $(#[doc = $wire] $variant($body),)* }

        impl $name {
            /// Every command: its id and its name in the protocol document.
            pub const COMMANDS: &'static [(u32, &'static str)] = &[$(($id, $wire)),*];

            /// The command's id in the head.
            pub fn command_id(&self) -> u32 {
                match self { $(Self::$variant(_) => $id,)* }
            }

            /// The command's name in the protocol document.
            pub fn command_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $wire,)* }
            }

            /// The body as a JSON object by field name; see [`crate::Layout::to_value`].
            pub fn to_value(&self) -> serde_json::Value {
                match self { $(Self::$variant(body) => $crate::layout::Layout::to_value(body),)* }
            }

            fn read(id: u32, bytes: &[u8], version: $version) -> Result<Self, $crate::WireError> {
                let mut input = $crate::layout::Reader::new(bytes);
                match id {
                    $($id => {
                        let body = $crate::layout::Body::<$version>::read(&mut input, version)?;
                        input.end($wire)?;
                        Ok(Self::$variant(body))
                    })*
                    id => Err($crate::WireError::UnknownCommand { protocol: $protocol, id }),
                }
            }

            fn write(&self, output: &mut Vec<u8>, version: $version) -> Result<(), $crate::WireError> {
                match self { $(Self::$variant(body) => $crate::layout::Body::<$version>::write(body, output, version),)* }
            }
        }
    };
}

pub(crate) use {commands, layout};

macro_rules! integers {
    ($($type:ty),*) => { $(
        impl<V> Field<V> for $type {
            fn read(input: &mut Reader<'_>, _: V, name: &'static str) -> Result<Self, WireError> {
                Ok(Self::from_be_bytes(input.array(name)?))
            }

            fn write(&self, output: &mut Vec<u8>, _: V, _: &'static str) -> Result<(), WireError> {
                output.extend_from_slice(&self.to_be_bytes());
                Ok(())
            }

            fn shown(&self) -> Value {
                Value::from(*self)
            }
        }
    )* };
}
integers!(u8, u16, u32);
