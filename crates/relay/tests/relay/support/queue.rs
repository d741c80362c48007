//! A queue and its keys.

use super::Peer;
use keys::{MessageId, QueueId, Secret, ed25519};
use rand_core::CryptoRng;
use wire::{
    Acknowledge, Body, CreateQueue, DeleteQueue, Reply, Request, RowResult, Send, SendRow,
    SendToken, Subscribe, Subscribed,
};

/// A queue with what its owner knows.
pub(crate) struct Queue {
    pub(crate) id: QueueId,
    key: Secret<32>,
    pub(crate) token: SendToken,
}

impl Queue {
    pub(crate) fn draw(rng: &mut dyn CryptoRng) -> Self {
        let id = QueueId::random(rng);
        let key = Secret::random(rng);
        let mut token = [0; 32];
        rng.fill_bytes(&mut token);
        Self {
            id,
            key,
            token: SendToken::from_bytes(token),
        }
    }

    /// Draws a queue and has it made.
    pub(crate) async fn create(rng: &mut dyn CryptoRng, peer: &mut Peer) -> Self {
        let queue = Self::draw(rng);
        assert_eq!(peer.ask(queue.creation()).await, Reply::Done);
        queue
    }

    pub(crate) fn creation(&self) -> Request {
        Request::CreateQueue(CreateQueue {
            queue_id: self.id,
            receive_key: ed25519::public(&self.key),
            send_token_hash: keys::sha256(&[self.token.as_bytes()]),
        })
    }

    pub(crate) fn subscription(&self, challenge: &[u8; 32]) -> Request {
        let message = wire::subscribe_message(challenge, &self.id);
        Request::Subscribe(Subscribe {
            queue_id: self.id,
            signature: ed25519::sign(&self.key, &message),
        })
    }

    pub(crate) async fn subscribe(&self, peer: &mut Peer) -> Subscribed {
        let request = self.subscription(&peer.welcome.challenge.clone());
        match peer.ask(request).await {
            Reply::Subscribed(subscribed) => subscribed,
            other => panic!("not subscribed: {other:?}"),
        }
    }

    pub(crate) fn acknowledgement(&self, up_to_seq: u64) -> Request {
        Request::Acknowledge(Acknowledge {
            queue_id: self.id,
            up_to_seq,
        })
    }

    pub(crate) fn deletion(&self) -> Request {
        let message = wire::delete_queue_message(&self.id);
        Request::DeleteQueue(DeleteQueue {
            queue_id: self.id,
            signature: ed25519::sign(&self.key, &message),
        })
    }

    pub(crate) fn row(&self) -> SendRow {
        SendRow {
            queue_id: self.id,
            token: self.token,
        }
    }
}

/// A body of 1 KiB that begins with a number.
pub(crate) fn body(number: u64) -> Body {
    let mut bytes = vec![0x5a; 1024];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Body::new(bytes).unwrap()
}

/// The number is the message id, too.
pub(crate) fn send(queue: &Queue, number: u64) -> Request {
    send_all(vec![queue.row()], number)
}

pub(crate) fn send_all(rows: Vec<SendRow>, number: u64) -> Request {
    Request::Send(Send {
        message_id: MessageId::from_bytes(u128::from(number).to_be_bytes()),
        body: body(number),
        rows,
    })
}

impl Peer {
    /// Sends and returns what became of the rows.
    pub(crate) async fn sent(&mut self, request: Request) -> Vec<RowResult> {
        match self.ask(request).await {
            Reply::SendResult(result) => result.rows,
            other => panic!("not sent: {other:?}"),
        }
    }
}
