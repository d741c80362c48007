//! Addresses of the `signal` profile (docs/spec/ratchet.md, section 2.4).

/// A name and a device, 1 to 127.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    name: String,
    device: u8,
}

impl Address {
    /// Takes a name; service ids are brought to lower case, so that one peer has one name.
    #[must_use]
    pub fn new(name: &str, device: u8) -> Self {
        let lower = name.to_ascii_lowercase();
        let (prefix, rest) = match lower.strip_prefix("pni:") {
            Some(rest) => ("PNI:", rest.to_owned()),
            None => ("", lower),
        };
        let name = if uuid(&rest).is_some() {
            format!("{prefix}{rest}")
        } else {
            name.to_owned()
        };
        Self { name, device }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> u8 {
        self.device
    }

    /// Kind (00 ACI, 01 PNI) ‖ 16 UUID bytes, if the name is a service id.
    fn service_id(&self) -> Option<[u8; 17]> {
        let (kind, text) = match self.name.strip_prefix("PNI:") {
            Some(text) => (1, text),
            None => (0, self.name.as_str()),
        };
        let mut id = [0; 17];
        let (first, rest) = id.split_first_mut()?;
        *first = kind;
        rest.copy_from_slice(&uuid(text)?);
        Some(id)
    }

    /// Whether both are devices of one account, given equal identity keys.
    pub(crate) fn same_account(&self, other: &Self) -> bool {
        self.service_id().is_some() && self.service_id() == other.service_id()
    }
}

/// The `addresses` field: sender's service id ‖ device ‖ receiver's service id ‖ device, if both names are
/// service ids.
pub(crate) fn addresses_field(sender: &Address, receiver: &Address) -> Option<Vec<u8>> {
    let (from, to) = (sender.service_id()?, receiver.service_id()?);
    Some([&from[..], &[sender.device], &to[..], &[receiver.device]].concat())
}

/// The bytes of a hyphenated UUID in lower case.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let hyphens = text.len() == 36
        && [8, 13, 18, 23]
            .iter()
            .all(|place| text.as_bytes().get(*place) == Some(&b'-'));
    if !hyphens {
        return None;
    }
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| *byte != b'-')
        .map(|byte| {
            char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits
        .as_chunks::<2>()
        .0
        .iter()
        .map(|[high, low]| (high << 4) | low)
        .collect();
    bytes.try_into().ok()
}
