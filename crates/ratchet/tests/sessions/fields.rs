//! Messages taken apart into their protobuf fields and put together otherwise.

use letterlock_ratchet::{Outgoing, Profile};

/// Bytes behind a message of the `signal` profile that are no protobuf.
pub(crate) const SIGNAL_MAC: usize = 8;

/// A field as it stands in the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The first byte, the fields in order, and what follows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) first: u8,
    pub(crate) list: Vec<(u32, Value)>,
    pub(crate) tail: Vec<u8>,
}

fn take_varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

impl Fields {
    /// Takes a message apart; `tail` bytes at its end are no protobuf.
    pub(crate) fn of(bytes: &[u8], tail: usize) -> Self {
        let (head, tail) = bytes.split_at(bytes.len() - tail);
        let (first, mut rest) = head.split_first().unwrap();
        let mut list = Vec::new();
        while !rest.is_empty() {
            let tag = take_varint(&mut rest);
            let number = u32::try_from(tag >> 3).unwrap();
            if tag & 7 == 0 {
                list.push((number, Value::Number(take_varint(&mut rest))));
            } else {
                let length = usize::try_from(take_varint(&mut rest)).unwrap();
                let (value, behind) = rest.split_at(length);
                list.push((number, Value::Bytes(value.to_vec())));
                rest = behind;
            }
        }
        Self {
            first: *first,
            list,
            tail: tail.to_vec(),
        }
    }

    /// Takes apart the message inside a pre-key message, or a message.
    pub(crate) fn of_message(profile: Profile, message: &[u8]) -> Self {
        let tail = match profile {
            Profile::Signal => SIGNAL_MAC,
            Profile::Letterlock => 0,
        };
        Self::of(message, tail)
    }

    pub(crate) fn get(&mut self, number: u32) -> &mut Value {
        let field = self.list.iter_mut().find(|(found, _)| *found == number);
        &mut field.unwrap().1
    }

    pub(crate) fn bytes(&mut self, number: u32) -> &mut Vec<u8> {
        match self.get(number) {
            Value::Bytes(bytes) => bytes,
            Value::Number(_) => panic!("field {number} is a number"),
        }
    }

    pub(crate) fn number(&mut self, number: u32) -> &mut u64 {
        match self.get(number) {
            Value::Number(value) => value,
            Value::Bytes(_) => panic!("field {number} is bytes"),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.first];
        for (number, value) in &self.list {
            match value {
                Value::Number(value) => {
                    out.extend(varint(u64::from(*number) << 3));
                    out.extend(varint(*value));
                }
                Value::Bytes(bytes) => {
                    out.extend(varint(u64::from(*number) << 3 | 2));
                    out.extend(varint(bytes.len() as u64));
                    out.extend(bytes);
                }
            }
        }
        out.extend(&self.tail);
        out
    }
}

/// The same pre-key message with its wrapper changed.
pub(crate) fn rewrapped(message: &Outgoing, change: impl FnOnce(&mut Fields)) -> Outgoing {
    let mut fields = Fields::of(&message.bytes, 0);
    assert_eq!(fields.encode(), message.bytes);
    change(&mut fields);
    Outgoing {
        kind: message.kind,
        bytes: fields.encode(),
    }
}
