//! What one device tells another inside the ratchet (docs/spec/letters.md, section 3).

use crate::limits;
use keys::account_log::Pin;
use keys::{AccountId, BlobId, LetterId, QueueId, Secret, Timestamp};
use prost::Message as _;
use zeroize::{Zeroize as _, Zeroizing};

/// The plaintext of one ratchet message.
pub(crate) struct Content {
    /// The letter's id; for a receipt, an id of its own.
    pub(crate) id: LetterId,
    /// The sender's clock.
    pub(crate) sent_at: Timestamp,
    /// Where the sender wants answers, as long as the peer has not used it.
    pub(crate) route: Option<RouteOffer>,
    /// The account logs as the sender knows them, so that nobody is shown another history unnoticed.
    pub(crate) heads: Option<Heads>,
    /// The sender's device certificate, as long as the peer has not seen it.
    pub(crate) certificate: Option<Vec<u8>>,
    /// What it is.
    pub(crate) body: Body,
}

/// The kinds of content.
pub(crate) enum Body {
    /// A letter.
    Letter(LetterBody),
    /// These letters are stored here.
    Receipt(Vec<LetterId>),
    /// This session replaces a lost one: what the sender did not confirm is to be sent again.
    Repair,
    /// A letter that another device of the account sent or received.
    Copy(Copy),
    /// An account log as the sender knows it, because the two do not agree.
    Log(Vec<u8>),
    /// Something else that another device of the account tells; it may hold keys.
    Errand(Zeroizing<Vec<u8>>),
    /// Something between an account and its guardians; it may hold keys.
    Guardian(Zeroizing<Vec<u8>>),
    /// Something about a group; it may hold keys.
    Group(Zeroizing<Vec<u8>>),
    /// Something said of a letter after it was written.
    Amendment(Zeroizing<Vec<u8>>),
    /// A word of a comparison of short codes.
    Sas(Sas),
    /// A word of a vault; it may hold keys.
    Vault(Zeroizing<Vec<u8>>),
    /// Of a later version; ignored but for its route.
    Unknown,
}

/// A word of a comparison of short codes; [`SasMessage`](crate::sas_message::SasMessage) knows the kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sas {
    pub(crate) kind: u32,
    /// Of the comparison.
    pub(crate) id: [u8; 16],
    pub(crate) bytes: Vec<u8>,
}

/// How far two account logs go, in the eyes of a sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heads {
    /// The sender's.
    pub(crate) ours: Head,
    /// The recipient's.
    pub(crate) yours: Head,
    /// The newest version of the sender's backup.
    pub(crate) backup: u64,
    /// The newest version of the recipient's backup that the sender was told of.
    pub(crate) your_backup: u64,
}

/// The newest entry of an account log: its number and the first 32 bytes of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) sequence: u64,
    pub(crate) hash: [u8; 32],
}

impl Head {
    pub(crate) fn of(pin: &Pin) -> Self {
        let mut hash = [0; 32];
        for (to, from) in hash.iter_mut().zip(&pin.hash) {
            *to = *from;
        }
        Self {
            sequence: pin.sequence,
            hash,
        }
    }
}

/// A letter of a conversation, for the other devices of its sender or recipient.
pub(crate) struct Copy {
    /// With whom the conversation is.
    pub(crate) contact: AccountId,
    /// Whether the account sent it.
    pub(crate) sent: bool,
    /// The letter.
    pub(crate) letter: LetterBody,
}

/// A letter's words and files.
pub(crate) struct LetterBody {
    pub(crate) text: String,
    pub(crate) reply_to: Option<LetterId>,
    pub(crate) expires_after: Option<u64>,
    pub(crate) enclosures: Vec<Enclosure>,
}

/// What opens a file that lies sealed in a relay's blob store.
pub(crate) struct Enclosure {
    pub(crate) blob: BlobId,
    pub(crate) read_token: Secret<32>,
    pub(crate) key: Secret<32>,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) relay: String,
}

/// A queue made for one contact, and the key that hides what lies in it.
pub(crate) struct RouteOffer {
    pub(crate) queue: QueueId,
    pub(crate) token: Secret<32>,
    pub(crate) key: Secret<32>,
    pub(crate) relay: String,
}

/// The bytes are no content this version can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed content")]
pub(crate) struct MalformedContent;

mod schema {
    //! The protobuf form. Private, without Debug of its fields, and taken apart at once.

    #[derive(Clone, PartialEq, prost::Message)]
    #[prost(skip_debug)]
    pub(super) struct Content {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) id: Vec<u8>,
        #[prost(uint64, tag = "2")]
        pub(super) sent_at: u64,
        #[prost(message, optional, tag = "3")]
        pub(super) route: Option<Route>,
        #[prost(oneof = "Body", tags = "4, 5, 6, 7, 8, 11, 14, 16, 17, 18, 19")]
        pub(super) body: Option<Body>,
        #[prost(message, optional, tag = "9")]
        pub(super) ours: Option<Head>,
        #[prost(message, optional, tag = "10")]
        pub(super) yours: Option<Head>,
        #[prost(uint64, tag = "12")]
        pub(super) backup: u64,
        #[prost(uint64, tag = "13")]
        pub(super) your_backup: u64,
        #[prost(bytes = "vec", optional, tag = "15")]
        pub(super) certificate: Option<Vec<u8>>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    #[prost(skip_debug)]
    pub(super) struct Head {
        #[prost(uint64, tag = "1")]
        pub(super) sequence: u64,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) hash: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    #[prost(skip_debug)]
    pub(super) struct Copy {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) contact: Vec<u8>,
        #[prost(bool, tag = "2")]
        pub(super) sent: bool,
        #[prost(message, optional, tag = "3")]
        pub(super) letter: Option<Letter>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    #[prost(skip_debug)]
    pub(super) enum Body {
        #[prost(message, tag = "4")]
        Letter(Letter),
        #[prost(message, tag = "5")]
        Receipt(Receipt),
        #[prost(bool, tag = "6")]
        Repair(bool),
        #[prost(message, tag = "7")]
        Copy(Copy),
        #[prost(bytes = "vec", tag = "8")]
        Errand(Vec<u8>),
        #[prost(bytes = "vec", tag = "11")]
        Log(Vec<u8>),
        #[prost(bytes = "vec", tag = "16")]
        Guardian(Vec<u8>),
        #[prost(bytes = "vec", tag = "17")]
        Group(Vec<u8>),
        #[prost(bytes = "vec", tag = "18")]
        Amendment(Vec<u8>),
        #[prost(bytes = "vec", tag = "19")]
        Vault(Vec<u8>),
        #[prost(message, tag = "14")]
        Sas(Sas),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    #[prost(skip_debug)]
    pub(super) struct Sas {
        #[prost(uint32, tag = "1")]
        pub(super) kind: u32,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) id: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        pub(super) bytes: Vec<u8>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    #[prost(skip_debug)]
    pub(super) struct Letter {
        #[prost(string, tag = "1")]
        pub(super) text: String,
        #[prost(bytes = "vec", optional, tag = "2")]
        pub(super) reply_to: Option<Vec<u8>>,
        #[prost(uint64, optional, tag = "3")]
        pub(super) expires_after: Option<u64>,
        #[prost(message, repeated, tag = "4")]
        pub(super) enclosures: Vec<Enclosure>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    #[prost(skip_debug)]
    pub(super) struct Enclosure {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) blob: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) read_token: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        pub(super) key: Vec<u8>,
        #[prost(string, tag = "4")]
        pub(super) name: String,
        #[prost(uint64, tag = "5")]
        pub(super) size: u64,
        #[prost(string, tag = "6")]
        pub(super) relay: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    #[prost(skip_debug)]
    pub(super) struct Route {
        #[prost(bytes = "vec", tag = "1")]
        pub(super) queue: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        pub(super) token: Vec<u8>,
        #[prost(bytes = "vec", tag = "3")]
        pub(super) key: Vec<u8>,
        #[prost(string, tag = "4")]
        pub(super) relay: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    #[prost(skip_debug)]
    pub(super) struct Receipt {
        #[prost(bytes = "vec", repeated, tag = "1")]
        pub(super) letters: Vec<Vec<u8>>,
    }

    macro_rules! opaque_debug {
        ($($name:ident),*) => {$(
            impl std::fmt::Debug for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(concat!(stringify!($name), "(..)"))
                }
            }
        )*};
    }
    opaque_debug!(
        Content, Body, Letter, Enclosure, Route, Receipt, Head, Copy, Sas
    );
}

impl Content {
    /// A content whose route and heads are filled in when it is sealed.
    pub(crate) fn new(id: LetterId, sent_at: Timestamp, body: Body) -> Self {
        Self {
            id,
            sent_at,
            route: None,
            heads: None,
            certificate: None,
            body,
        }
    }

    /// Encodes the content as protobuf.
    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut message = schema::Content {
            id: self.id.as_bytes().to_vec(),
            sent_at: self.sent_at.as_secs(),
            route: self.route.as_ref().map(|route| schema::Route {
                queue: route.queue.as_bytes().to_vec(),
                token: route.token.expose_secret().to_vec(),
                key: route.key.expose_secret().to_vec(),
                relay: route.relay.clone(),
            }),
            body: match &self.body {
                Body::Letter(letter) => Some(schema::Body::Letter(letter.to_schema())),
                Body::Receipt(letters) => Some(schema::Body::Receipt(schema::Receipt {
                    letters: letters.iter().map(|id| id.as_bytes().to_vec()).collect(),
                })),
                Body::Repair => Some(schema::Body::Repair(true)),
                Body::Copy(copy) => Some(schema::Body::Copy(schema::Copy {
                    contact: copy.contact.as_bytes().to_vec(),
                    sent: copy.sent,
                    letter: Some(copy.letter.to_schema()),
                })),
                Body::Log(log) => Some(schema::Body::Log(log.clone())),
                Body::Errand(errand) => Some(schema::Body::Errand(errand.to_vec())),
                Body::Guardian(word) => Some(schema::Body::Guardian(word.to_vec())),
                Body::Group(word) => Some(schema::Body::Group(word.to_vec())),
                Body::Amendment(said) => Some(schema::Body::Amendment(said.to_vec())),
                Body::Sas(sas) => Some(schema::Body::Sas(sas.to_schema())),
                Body::Vault(word) => Some(schema::Body::Vault(word.to_vec())),
                Body::Unknown => None,
            },
            ours: self.heads.map(|heads| heads.ours.to_schema()),
            yours: self.heads.map(|heads| heads.yours.to_schema()),
            certificate: self.certificate.clone(),
            backup: self.heads.map_or(0, |heads| heads.backup),
            your_backup: self.heads.map_or(0, |heads| heads.your_backup),
        };
        let bytes = Zeroizing::new(message.encode_to_vec());
        wipe(&mut message);
        bytes
    }

    /// Decodes what a peer sent.
    ///
    /// # Errors
    /// [`MalformedContent`]: not protobuf, a field of a wrong length, or beyond a limit.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, MalformedContent> {
        let mut message = schema::Content::decode(bytes).map_err(|_| MalformedContent)?;
        let content = Self::from_schema(&message);
        wipe(&mut message);
        content
    }

    fn from_schema(message: &schema::Content) -> Result<Self, MalformedContent> {
        Ok(Self {
            id: LetterId::from_slice(&message.id).ok_or(MalformedContent)?,
            sent_at: Timestamp::from_secs(message.sent_at),
            route: message
                .route
                .as_ref()
                .map(RouteOffer::from_schema)
                .transpose()?,
            body: match &message.body {
                Some(schema::Body::Letter(letter)) => {
                    Body::Letter(LetterBody::from_schema(letter)?)
                }
                Some(schema::Body::Receipt(receipt)) => {
                    if receipt.letters.len() > limits::RECEIPT_LETTERS {
                        return Err(MalformedContent);
                    }
                    let ids = receipt.letters.iter().map(|id| LetterId::from_slice(id));
                    Body::Receipt(ids.collect::<Option<_>>().ok_or(MalformedContent)?)
                }
                Some(schema::Body::Repair(_)) => Body::Repair,
                Some(schema::Body::Copy(copy)) => Body::Copy(Copy::from_schema(copy)?),
                Some(schema::Body::Log(log)) => Body::Log(log.clone()),
                Some(schema::Body::Errand(errand)) => Body::Errand(Zeroizing::new(errand.clone())),
                Some(schema::Body::Guardian(word)) => Body::Guardian(Zeroizing::new(word.clone())),
                Some(schema::Body::Group(word)) => Body::Group(Zeroizing::new(word.clone())),
                Some(schema::Body::Amendment(said)) => {
                    Body::Amendment(Zeroizing::new(said.clone()))
                }
                Some(schema::Body::Sas(sas)) => Body::Sas(Sas::from_schema(sas)?),
                Some(schema::Body::Vault(word)) => Body::Vault(Zeroizing::new(word.clone())),
                None => Body::Unknown,
            },
            certificate: message.certificate.clone(),
            heads: match (&message.ours, &message.yours) {
                (Some(ours), Some(yours)) => Some(Heads {
                    ours: Head::from_schema(ours)?,
                    yours: Head::from_schema(yours)?,
                    backup: message.backup,
                    your_backup: message.your_backup,
                }),
                _ => None,
            },
        })
    }
}

impl Head {
    fn to_schema(self) -> schema::Head {
        schema::Head {
            sequence: self.sequence,
            hash: self.hash.to_vec(),
        }
    }

    fn from_schema(head: &schema::Head) -> Result<Self, MalformedContent> {
        Ok(Self {
            sequence: head.sequence,
            hash: head
                .hash
                .as_slice()
                .try_into()
                .map_err(|_| MalformedContent)?,
        })
    }
}

impl Sas {
    /// As an errand keeps it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.to_schema().encode_to_vec()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`MalformedContent`]: not protobuf, or a field of a wrong length.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, MalformedContent> {
        let sas = schema::Sas::decode(bytes).map_err(|_| MalformedContent)?;
        Self::from_schema(&sas)
    }

    fn to_schema(&self) -> schema::Sas {
        schema::Sas {
            kind: self.kind,
            id: self.id.to_vec(),
            bytes: self.bytes.clone(),
        }
    }

    fn from_schema(sas: &schema::Sas) -> Result<Self, MalformedContent> {
        if sas.bytes.len() > limits::SAS_BYTES {
            return Err(MalformedContent);
        }
        Ok(Self {
            kind: sas.kind,
            id: sas.id.as_slice().try_into().map_err(|_| MalformedContent)?,
            bytes: sas.bytes.clone(),
        })
    }
}

impl Copy {
    fn from_schema(copy: &schema::Copy) -> Result<Self, MalformedContent> {
        Ok(Self {
            contact: AccountId::from_slice(&copy.contact).ok_or(MalformedContent)?,
            sent: copy.sent,
            letter: LetterBody::from_schema(copy.letter.as_ref().ok_or(MalformedContent)?)?,
        })
    }
}

impl LetterBody {
    fn to_schema(&self) -> schema::Letter {
        schema::Letter {
            text: self.text.clone(),
            reply_to: self.reply_to.map(|id| id.as_bytes().to_vec()),
            expires_after: self.expires_after,
            enclosures: self
                .enclosures
                .iter()
                .map(|enclosure| schema::Enclosure {
                    blob: enclosure.blob.as_bytes().to_vec(),
                    read_token: enclosure.read_token.expose_secret().to_vec(),
                    key: enclosure.key.expose_secret().to_vec(),
                    name: enclosure.name.clone(),
                    size: enclosure.size,
                    relay: enclosure.relay.clone(),
                })
                .collect(),
        }
    }

    fn from_schema(letter: &schema::Letter) -> Result<Self, MalformedContent> {
        if letter.text.len() > limits::TEXT_BYTES || letter.enclosures.len() > limits::ENCLOSURES {
            return Err(MalformedContent);
        }
        let reply_to = match &letter.reply_to {
            Some(id) => Some(LetterId::from_slice(id).ok_or(MalformedContent)?),
            None => None,
        };
        let enclosures = letter
            .enclosures
            .iter()
            .map(Enclosure::from_schema)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: letter.text.clone(),
            reply_to,
            expires_after: letter.expires_after,
            enclosures,
        })
    }
}

impl Enclosure {
    fn from_schema(enclosure: &schema::Enclosure) -> Result<Self, MalformedContent> {
        if enclosure.name.len() > limits::FILE_NAME_BYTES
            || enclosure.relay.len() > limits::RELAY_URL_BYTES
        {
            return Err(MalformedContent);
        }
        Ok(Self {
            blob: BlobId::from_slice(&enclosure.blob).ok_or(MalformedContent)?,
            read_token: Secret::from_slice(&enclosure.read_token).ok_or(MalformedContent)?,
            key: Secret::from_slice(&enclosure.key).ok_or(MalformedContent)?,
            name: enclosure.name.clone(),
            size: enclosure.size,
            relay: enclosure.relay.clone(),
        })
    }
}

impl RouteOffer {
    fn from_schema(route: &schema::Route) -> Result<Self, MalformedContent> {
        if route.relay.len() > limits::RELAY_URL_BYTES {
            return Err(MalformedContent);
        }
        Ok(Self {
            queue: QueueId::from_slice(&route.queue).ok_or(MalformedContent)?,
            token: Secret::from_slice(&route.token).ok_or(MalformedContent)?,
            key: Secret::from_slice(&route.key).ok_or(MalformedContent)?,
            relay: route.relay.clone(),
        })
    }
}

/// Wipes the copies of keys and text that the protobuf structs held.
fn wipe(message: &mut schema::Content) {
    if let Some(route) = &mut message.route {
        route.token.zeroize();
        route.key.zeroize();
    }
    let letter = match &mut message.body {
        Some(schema::Body::Letter(letter)) => Some(letter),
        Some(schema::Body::Copy(copy)) => copy.letter.as_mut(),
        Some(
            schema::Body::Errand(words)
            | schema::Body::Guardian(words)
            | schema::Body::Group(words)
            | schema::Body::Amendment(words)
            | schema::Body::Vault(words),
        ) => {
            words.zeroize();
            None
        }
        _ => None,
    };
    if let Some(letter) = letter {
        letter.text.zeroize();
        for enclosure in &mut letter.enclosures {
            enclosure.read_token.zeroize();
            enclosure.key.zeroize();
        }
    }
}
