//! A queue at a relay, without any account: made, heard, written to, deleted, over connections that come and go.

use crate::failure::{failure, internal, relay_full, unreachable};
use crate::limits;
use crate::net::{self, NetEvent, NetProblem, Wish};
use crate::os;
use crate::relay_url::RelayUrl;
use crate::view::{Failure, FailureKind};
use bytes::Bytes;
use keys::{MessageId, QueueId, Secret};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A queue of this side.
pub(super) struct OwnQueue {
    pub(super) id: QueueId,
    pub(super) receive_key: Secret<32>,
    pub(super) token: Secret<32>,
}

/// A queue of the other side.
pub(super) struct TheirQueue {
    pub(super) id: QueueId,
    pub(super) token: Secret<32>,
}

impl OwnQueue {
    /// The same once more.
    pub(super) fn copy(&self) -> Self {
        Self {
            id: self.id,
            receive_key: self.receive_key.duplicate(),
            token: self.token.duplicate(),
        }
    }
}

impl TheirQueue {
    /// The same once more.
    pub(super) fn copy(&self) -> Self {
        Self {
            id: self.id,
            token: self.token.duplicate(),
        }
    }
}

/// A body that came, and its place in the queue.
pub(super) struct Came {
    pub(super) seq: u64,
    pub(super) body: Bytes,
}

/// Why nothing was written to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// It is not there, or the token is not its own.
    NoQueue,
    /// It has no room.
    Full,
}

/// A connection to a relay, and the queue that is heard over it.
pub(super) struct Line {
    wishes: mpsc::UnboundedSender<Wish>,
    events: mpsc::Receiver<NetEvent>,
    connection: JoinHandle<()>,
    relay_id: [u8; 16],
    /// The challenge of the connection that stands.
    challenge: Option<[u8; 32]>,
    problem: Option<NetProblem>,
    queue: Option<OwnQueue>,
    /// The subscription without answer.
    subscribing: u64,
    next: u64,
    /// Requests without answer, to be sent again on the next connection.
    asked: BTreeMap<u64, Bytes>,
    replies: BTreeMap<u64, wire::Reply>,
    came: VecDeque<Came>,
    last_seq: u64,
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    /// The relay cannot be reached in time, or is another one.
    pub(super) async fn open(url: &RelayUrl) -> Result<Self, Failure> {
        let (wishes, wished) = mpsc::unbounded_channel();
        let (heard, events) = mpsc::channel(limits::ANSWERS);
        let connection = tokio::spawn(net::run(url.clone(), wished, heard));
        let mut line = Self {
            wishes,
            events,
            connection,
            relay_id: [0; 16],
            challenge: None,
            problem: None,
            queue: None,
            subscribing: 0,
            next: 0,
            asked: BTreeMap::new(),
            replies: BTreeMap::new(),
            came: VecDeque::new(),
            last_seq: 0,
        };
        let mut patience = limits::COMMAND;
        while line.challenge.is_none() && line.problem != Some(NetProblem::WrongKey) {
            match timeout(patience, line.event()).await {
                Ok(heard) => heard?,
                Err(_) => break,
            }
            if line.problem.is_some() {
                patience = limits::LAST_ATTEMPTS;
            }
        }
        match line.challenge {
            Some(_) => Ok(line),
            None => Err(line.unreached()),
        }
    }

    fn unreached(&self) -> Failure {
        match &self.problem {
            Some(problem @ NetProblem::WrongKey) => failure(
                FailureKind::Refused,
                problem.to_string(),
                Some("somebody may stand in between, or the relay has a new key: ask its operator"),
            ),
            Some(problem) => unreachable(&problem.to_string()),
            None => unreachable("the relay does not answer"),
        }
    }

    /// What the relay calls itself.
    pub(super) fn relay_id(&self) -> &[u8; 16] {
        &self.relay_id
    }

    /// Makes a queue and begins to hear it; false where somebody else has it.
    pub(super) async fn make(&mut self, queue: OwnQueue) -> Result<bool, Failure> {
        match self.ask(&create(&queue)).await? {
            wire::Reply::Done => {}
            wire::Reply::Refused(refused) if refused.kind == wire::RefusalKind::Conflict => {
                return Ok(false);
            }
            reply => return Err(refused(&reply)),
        }
        self.queue = Some(queue);
        self.last_seq = 0;
        self.subscribe();
        Ok(true)
    }

    /// Waits for the next body, however long that takes.
    pub(super) async fn next(&mut self) -> Result<Came, Failure> {
        loop {
            if let Some(came) = self.came.pop_front() {
                return Ok(came);
            }
            self.event().await?;
        }
    }

    /// Lets the relay forget a body and those before it.
    pub(super) fn acknowledge(&mut self, seq: u64) {
        if let Some(queue) = &self.queue {
            let request = wire::Request::Acknowledge(wire::Acknowledge {
                queue_id: queue.id,
                up_to_seq: seq,
            });
            // It is not asked for again: what was not acknowledged comes once more.
            self.post(request);
        }
    }

    /// Writes to a queue of the other side.
    pub(super) async fn send(
        &mut self,
        to: &TheirQueue,
        body: Vec<u8>,
    ) -> Result<Result<(), Unsent>, Failure> {
        let request = wire::Request::Send(wire::Send {
            message_id: MessageId::random(&mut os::entropy()),
            body: wire::Body::new(body).map_err(|_| internal("a body of a wrong length"))?,
            rows: vec![wire::SendRow {
                queue_id: to.id,
                token: (*to.token.expose_secret()).into(),
            }],
        });
        let reply = self.ask(&request).await?;
        let wire::Reply::SendResult(result) = &reply else {
            return Err(refused(&reply));
        };
        match result.rows.as_slice() {
            [wire::RowResult::Accepted { .. } | wire::RowResult::Duplicate { .. }] => Ok(Ok(())),
            [wire::RowResult::QueueFull] => Ok(Err(Unsent::Full)),
            _ => Ok(Err(Unsent::NoQueue)),
        }
    }

    /// Deletes a queue; one that is not there is deleted.
    pub(super) async fn delete(&mut self, queue: &OwnQueue) -> Result<(), Failure> {
        let message = wire::delete_queue_message(&queue.id);
        let request = wire::Request::DeleteQueue(wire::DeleteQueue {
            queue_id: queue.id,
            signature: keys::ed25519::sign(&queue.receive_key, &message),
        });
        match self.ask(&request).await? {
            wire::Reply::Done => Ok(()),
            wire::Reply::Refused(refused) if refused.kind == wire::RefusalKind::NotFound => Ok(()),
            reply => Err(refused(&reply)),
        }
    }

    /// Deletes the queue that is heard, and ends.
    pub(super) async fn close(mut self) {
        if let Some(queue) = self.queue.take() {
            let _ = timeout(limits::GIVE_CLEAN, self.delete(&queue)).await;
        }
        self.leave().await;
    }

    /// Ends; the queue stays.
    pub(super) async fn leave(self) {
        drop(self.wishes);
        drop(self.events);
        let stop = self.connection.abort_handle();
        if timeout(limits::CLOSE, self.connection).await.is_err() {
            stop.abort();
        }
    }

    /// Asks for one thing, over as many connections as it takes.
    async fn ask(&mut self, request: &wire::Request) -> Result<wire::Reply, Failure> {
        let answered = async {
            let mut id = self.post(request.clone());
            let mut unstored = 0_u32;
            loop {
                let Some(reply) = self.replies.remove(&id) else {
                    self.event().await?;
                    continue;
                };
                // A full queue is an answer here: whoever waits for it decides.
                let later = match &reply {
                    wire::Reply::Refused(_) => reply.try_again_after(),
                    _ => None,
                };
                let Some(later) = later else {
                    return Ok(reply);
                };
                if let wire::Reply::Refused(refused) = &reply {
                    unstored = unstored.saturating_add(limits::want_of_room(refused.kind));
                    if unstored >= limits::WANT_OF_ROOM {
                        return Err(relay_full());
                    }
                }
                let later = Duration::from_millis(later).min(limits::COMMAND);
                tokio::time::sleep(os::jitter(later)).await;
                id = self.post(request.clone());
            }
        };
        match timeout(limits::COMMAND, answered).await {
            Ok(reply) => reply,
            Err(_) => Err(self.unreached()),
        }
    }

    fn post(&mut self, request: wire::Request) -> u64 {
        self.next = self.next.saturating_add(1);
        let frame = wire::ClientFrame {
            request_id: self.next,
            request,
        };
        let frame = Bytes::from(frame.encode());
        self.asked.insert(self.next, frame.clone());
        if self.challenge.is_some() {
            let _ = self.wishes.send(Wish::Request {
                id: self.next,
                frame,
            });
        }
        self.next
    }

    fn subscribe(&mut self) {
        let (Some(queue), Some(challenge)) = (&self.queue, &self.challenge) else {
            return;
        };
        let message = wire::subscribe_message(challenge, &queue.id);
        let request = wire::Request::Subscribe(wire::Subscribe {
            queue_id: queue.id,
            signature: keys::ed25519::sign(&queue.receive_key, &message),
        });
        self.subscribing = self.post(request);
    }

    /// Waits for one event, and takes it.
    async fn event(&mut self) -> Result<(), Failure> {
        let Some(event) = self.events.recv().await else {
            return Err(internal("the connection's task ended"));
        };
        match event {
            NetEvent::Up { welcome, .. } => {
                if self.relay_id != [0; 16] && self.relay_id != welcome.relay_id {
                    let hint = "the relay began anew: give again";
                    let message = "the relay is not the one that it was";
                    return Err(failure(FailureKind::Failed, message, Some(hint)));
                }
                self.relay_id = welcome.relay_id;
                self.challenge = Some(welcome.challenge);
                self.problem = None;
                self.again();
            }
            NetEvent::Down { problem, .. } => {
                self.challenge = None;
                self.problem = Some(problem);
            }
            NetEvent::Reply { id, reply, .. } => {
                if self.asked.remove(&id).is_none() {
                    return Ok(());
                }
                if id == self.subscribing {
                    return self.subscribed(&reply);
                }
                self.replies.insert(id, *reply);
                // Of what nobody waits for, only the newest replies are kept.
                while self.replies.len() > limits::INBOX {
                    self.replies.pop_first();
                }
            }
            NetEvent::Deliver {
                queue, seq, body, ..
            } => {
                let ours = self.queue.as_ref().is_some_and(|own| own.id == queue);
                if ours && seq > self.last_seq {
                    self.last_seq = seq;
                    self.came.push_back(Came { seq, body });
                }
            }
        }
        Ok(())
    }

    fn subscribed(&mut self, reply: &wire::Reply) -> Result<(), Failure> {
        match reply {
            wire::Reply::Subscribed(subscribed) => {
                // A relay that was set back, or made the queue anew, counts again from where it was.
                self.last_seq = self.last_seq.min(subscribed.next_seq.saturating_sub(1));
                Ok(())
            }
            wire::Reply::Refused(refused) if refused.is_temporary() => {
                self.subscribe();
                Ok(())
            }
            reply => Err(refused(reply)),
        }
    }

    /// Begins again on a new connection: the queue first, for the relay may have been set back, then what was asked.
    fn again(&mut self) {
        let asked = std::mem::take(&mut self.asked);
        if let Some(queue) = &self.queue {
            let request = create(queue);
            self.post(request);
            self.subscribe();
        }
        for (id, frame) in asked {
            // A subscription is for the connection that it was signed for, and the rest may be said twice.
            if !is_subscription(&frame) {
                self.asked.insert(id, frame.clone());
                let _ = self.wishes.send(Wish::Request { id, frame });
            }
        }
    }
}

fn is_subscription(frame: &Bytes) -> bool {
    let frame = wire::ClientFrame::decode(frame.clone());
    frame.is_ok_and(|frame| matches!(frame.request, wire::Request::Subscribe(_)))
}

fn create(queue: &OwnQueue) -> wire::Request {
    wire::Request::CreateQueue(wire::CreateQueue {
        queue_id: queue.id,
        receive_key: keys::ed25519::public(&queue.receive_key),
        send_token_hash: keys::sha256(&[queue.token.expose_secret()]),
    })
}

fn refused(reply: &wire::Reply) -> Failure {
    match reply {
        wire::Reply::Refused(refused) => failure(
            FailureKind::Failed,
            format!("the relay refused: {:?}", refused.kind),
            Some("ask the relay's operator, or try again later"),
        ),
        _ => {
            unreachable("what answers at this address is not a relay that this version understands")
        }
    }
}
