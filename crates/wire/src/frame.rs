//! A request or a reply with its number, as one WebSocket message.

use crate::error::{DecodeError, field};
use crate::limits::{FRAME_BYTES, REPLY_BYTES};
use crate::proto;
use crate::reply::Reply;
use crate::request::Request;
use bytes::Bytes;
use prost::Message as _;

/// A request and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFrame {
    /// The client's number for this request; not 0.
    pub request_id: u64,
    /// The request.
    pub request: Request,
}

/// A reply and the number of its request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayFrame {
    /// The number of the request; 0 for a [`Reply::Deliver`], and for a refusal of what had no readable number.
    pub request_id: u64,
    /// The reply.
    pub reply: Reply,
}

impl ClientFrame {
    /// Encodes the frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode_request(self.request_id, &self.request)
    }

    /// Decodes a frame; bodies share the memory of the input.
    ///
    /// # Errors
    /// [`DecodeError`]: the connection is at fault and should be told so.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        let (request_id, request) = decode_request(bytes)?;
        if request_id == 0 {
            return Err(field("request_id"));
        }
        Ok(Self {
            request_id,
            request,
        })
    }

    /// The number of a frame, as far as it can be read, to refuse it by.
    #[must_use]
    pub fn number(bytes: &[u8]) -> u64 {
        #[derive(Clone, PartialEq, prost::Message)]
        struct Number {
            #[prost(uint64, tag = "1")]
            request_id: u64,
        }
        // A decoder stops at the first fault; the number stands first.
        let mut number = Number::default();
        let _fault = number.merge(
            bytes
                .get(..bytes.len().min(FRAME_BYTES))
                .unwrap_or_default(),
        );
        number.request_id
    }
}

impl RelayFrame {
    /// Encodes the frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::RelayFrame {
            request_id: self.request_id,
            reply: Some(self.reply.to_proto()),
        }
        .encode_to_vec()
    }

    /// Decodes a frame; bodies share the memory of the input.
    ///
    /// # Errors
    /// [`DecodeError`]: the relay is at fault; the connection is of no more use.
    pub fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
        check_length(&bytes, REPLY_BYTES)?;
        let frame = proto::RelayFrame::decode(bytes).map_err(|_| DecodeError::Malformed)?;
        let reply = Reply::from_proto(frame.reply.ok_or(DecodeError::UnknownKind)?)?;
        let fits = match reply {
            Reply::Deliver(_) => frame.request_id == 0,
            Reply::Refused(_) => true,
            _ => frame.request_id != 0,
        };
        if !fits {
            return Err(field("request_id"));
        }
        Ok(Self {
            request_id: frame.request_id,
            reply,
        })
    }
}

pub(crate) fn encode_request(request_id: u64, request: &Request) -> Vec<u8> {
    proto::ClientFrame {
        request_id,
        request: Some(request.to_proto()),
    }
    .encode_to_vec()
}

pub(crate) fn decode_request(bytes: Bytes) -> Result<(u64, Request), DecodeError> {
    check_length(&bytes, FRAME_BYTES)?;
    let frame = proto::ClientFrame::decode(bytes).map_err(|_| DecodeError::Malformed)?;
    let request = Request::from_proto(frame.request.ok_or(DecodeError::UnknownKind)?)?;
    Ok((frame.request_id, request))
}

fn check_length(bytes: &[u8], max: usize) -> Result<(), DecodeError> {
    if bytes.len() > max {
        return Err(DecodeError::TooLong {
            got: bytes.len(),
            max,
        });
    }
    Ok(())
}
