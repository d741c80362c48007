//! Letters through pairs of connections: sent, delivered, acknowledged.

use super::{Connection, Target};
use keys::{MessageId, QueueId, Secret, ed25519};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep_until;
use wire::{
    Acknowledge, Body, CreateQueue, Deliver, Reply, Request, RowResult, Send, SendRow, SendToken,
    Subscribe,
};

/// How fast a pair sends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flow {
    /// So many letters without an answer, and a new one for each answer.
    Closed(u64),
    /// One letter in so much time, whatever comes back.
    Open(Duration),
}

/// What to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) pairs: u64,
    pub(crate) flow: Flow,
    pub(crate) time: Duration,
}

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Letters that were accepted, delivered and acknowledged.
    pub(crate) letters: u64,
    /// From the first letter to the last acknowledgement.
    pub(crate) time: Duration,
    /// From the sending of each (or when it was due) to its acceptance, shortest first.
    pub(crate) accepted_after: Vec<Duration>,
    /// The same to its arrival at the receiver.
    pub(crate) delivered_after: Vec<Duration>,
}

/// A queue, its two ends and the times of its letters.
struct Pair {
    queue: QueueId,
    token: SendToken,
    key: Secret<32>,
    body: Body,
}

impl Pair {
    fn draw(number: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(number);
        let queue = QueueId::random(&mut rng);
        let key = Secret::random(&mut rng);
        let mut token = [0; 32];
        rng.fill_bytes(&mut token);
        let mut body = vec![0; 1024];
        rng.fill_bytes(&mut body);
        Self {
            queue,
            token: SendToken::from_bytes(token),
            key,
            body: Body::new(body).unwrap(),
        }
    }

    async fn subscribe(&self, receiver: &mut Connection) {
        let creation = Request::CreateQueue(CreateQueue {
            queue_id: self.queue,
            receive_key: ed25519::public(&self.key),
            send_token_hash: keys::sha256(&[self.token.as_bytes()]),
        });
        assert_eq!(receiver.ask(creation).await, Reply::Done);
        let message = wire::subscribe_message(&receiver.challenge, &self.queue);
        let subscription = Request::Subscribe(Subscribe {
            queue_id: self.queue,
            signature: ed25519::sign(&self.key, &message),
        });
        let reply = receiver.ask(subscription).await;
        assert!(matches!(reply, Reply::Subscribed(_)), "{reply:?}");
    }

    /// The letter with a number, from 1.
    fn letter(&self, number: u64) -> Request {
        Request::Send(Send {
            message_id: MessageId::from_bytes(u128::from(number).to_be_bytes()),
            body: self.body.clone(),
            rows: vec![SendRow {
                queue_id: self.queue,
                token: self.token,
            }],
        })
    }

    fn acknowledgement(&self, up_to_seq: u64) -> Request {
        Request::Acknowledge(Acknowledge {
            queue_id: self.queue,
            up_to_seq,
        })
    }
}

/// Runs a load and waits until every letter is acknowledged.
pub(crate) async fn run(target: &Target, load: Load) -> Report {
    let mut ends = Vec::new();
    for number in 0..load.pairs {
        let pair = Arc::new(Pair::draw(number));
        let mut receiver = Connection::open(target).await;
        pair.subscribe(&mut receiver).await;
        ends.push((pair, Connection::open(target).await, receiver));
    }
    let over = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let mut tasks = Vec::new();
    for (pair, sender, receiver) in ends {
        let sending = send(Arc::clone(&pair), sender, load.flow, Arc::clone(&over));
        tasks.push((
            tokio::spawn(sending),
            tokio::spawn(receive(pair, receiver, Arc::clone(&over))),
        ));
    }
    tokio::time::sleep(load.time).await;
    over.store(true, Ordering::Relaxed);
    let mut report = Report::default();
    for (sending, receiving) in tasks {
        let (sent, accepted) = sending.await.unwrap();
        let (delivered, end) = receiving.await.unwrap();
        report.time = report.time.max(end - start);
        assert_eq!(
            sent.len(),
            delivered.len(),
            "each accepted letter arrives once"
        );
        report.letters += u64::try_from(sent.len()).unwrap();
        let after = |times: Vec<Instant>| {
            let pairs = times.into_iter().zip(&sent);
            pairs
                .map(|(time, sent)| time.saturating_duration_since(*sent))
                .collect::<Vec<_>>()
        };
        report.accepted_after.extend(after(accepted));
        report.delivered_after.extend(after(delivered));
    }
    report.accepted_after.sort();
    report.delivered_after.sort();
    report
}

/// Sends until it is over, and once more: the receiver stops at the last letter. Returns when each letter was
/// sent and accepted.
async fn send(
    pair: Arc<Pair>,
    mut sender: Connection,
    flow: Flow,
    over: Arc<AtomicBool>,
) -> (Vec<Instant>, Vec<Instant>) {
    let mut sent: Vec<Instant> = Vec::new();
    let mut accepted: Vec<Instant> = Vec::new();
    let start = Instant::now();
    let mut last = false;
    while !last || accepted.len() < sent.len() {
        if !last {
            last = over.load(Ordering::Relaxed);
            let now = Instant::now();
            let due = due(flow, start, now, &sent, accepted.len()).max(usize::from(last));
            for _ in 0..due {
                let when = match flow {
                    Flow::Closed(_) => now,
                    Flow::Open(gap) => start + gap * u32::try_from(sent.len()).unwrap(),
                };
                sent.push(when);
                let number = u64::try_from(sent.len()).unwrap();
                sender.feed(number, pair.letter(number)).await;
            }
            sender.flush().await;
        }
        let wait = match flow {
            Flow::Open(gap) if !last => start + gap * u32::try_from(sent.len()).unwrap(),
            _ => Instant::now() + Duration::from_secs(600),
        };
        let mut frame = tokio::select! {
            frame = sender.next() => Some(frame),
            () = sleep_until(wait.into()) => None,
        };
        while let Some(answered) = frame {
            match answered.reply {
                Reply::SendResult(result) => {
                    assert!(matches!(result.rows[..], [RowResult::Accepted { .. }]));
                }
                other => panic!("not accepted: {other:?}"),
            }
            accepted.push(Instant::now());
            frame = sender.try_next();
        }
    }
    (sent, accepted)
}

/// How many letters to send now.
fn due(flow: Flow, start: Instant, now: Instant, sent: &[Instant], accepted: usize) -> usize {
    match flow {
        Flow::Closed(window) => usize::try_from(window).unwrap() - (sent.len() - accepted),
        Flow::Open(gap) => {
            let all = (now - start).as_nanos() / gap.as_nanos() + 1;
            usize::try_from(all).unwrap().saturating_sub(sent.len())
        }
    }
}

/// Receives and acknowledges until nothing more comes. Returns when each letter came, and when all was answered.
async fn receive(
    pair: Arc<Pair>,
    mut receiver: Connection,
    over: Arc<AtomicBool>,
) -> (Vec<Instant>, Instant) {
    let (mut came, mut asked, mut answered) = (Vec::new(), 1, 1);
    let (mut quiet, mut end) = (false, Instant::now());
    loop {
        let first = tokio::time::timeout(Duration::from_millis(500), receiver.next());
        let Ok(first) = first.await else {
            if over.load(Ordering::Relaxed) && quiet {
                assert_eq!(asked, answered, "every acknowledgement is answered");
                return (came, end);
            }
            quiet = over.load(Ordering::Relaxed);
            continue;
        };
        (quiet, end) = (false, Instant::now());
        let before = came.len();
        let mut frame = Some(first);
        while let Some(next) = frame {
            match next.reply {
                Reply::Deliver(Deliver { seq, .. }) => {
                    came.push(Instant::now());
                    assert_eq!(seq, u64::try_from(came.len()).unwrap(), "in order");
                }
                Reply::Done => answered += 1,
                other => panic!("{other:?}"),
            }
            frame = receiver.try_next();
        }
        if came.len() > before {
            asked += 1;
            let up_to = u64::try_from(came.len()).unwrap();
            receiver.feed(asked, pair.acknowledgement(up_to)).await;
            receiver.flush().await;
        }
    }
}
