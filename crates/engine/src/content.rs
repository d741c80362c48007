//! What one device tells another inside the ratchet (docs/spec/letters.md, section 3).

use crate::limits;
use keys::{BlobId, LetterId, QueueId, Secret, Timestamp};
use prost::Message as _;
use zeroize::Zeroize as _;

/// The plaintext of one ratchet message.
pub(crate) struct Content {
    /// The letter's id; for a receipt, an id of its own.
    pub(crate) id: LetterId,
    /// The sender's clock.
    pub(crate) sent_at: Timestamp,
    /// Where the sender wants answers, as long as the peer has not used it.
    pub(crate) route: Option<RouteOffer>,
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
    /// Of a later version; ignored but for its route.
    Unknown,
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
        #[prost(oneof = "Body", tags = "4, 5, 6")]
        pub(super) body: Option<Body>,
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
    opaque_debug!(Content, Body, Letter, Enclosure, Route, Receipt);
}

impl Content {
    /// Encodes the content as protobuf.
    pub(crate) fn encode(&self) -> zeroize::Zeroizing<Vec<u8>> {
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
                Body::Unknown => None,
            },
        };
        let bytes = zeroize::Zeroizing::new(message.encode_to_vec());
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
                None => Body::Unknown,
            },
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
    if let Some(schema::Body::Letter(letter)) = &mut message.body {
        letter.text.zeroize();
        for enclosure in &mut letter.enclosures {
            enclosure.read_token.zeroize();
            enclosure.key.zeroize();
        }
    }
}
