//! One frame of every kind, with every field set.

use keys::{AccountId, DeviceId, GroupId, MessageId, QueueId, Suite, Timestamp};
use letterlock_wire::{
    Acknowledge, AppendEntries, AppendLog, Body, Bundle, CancelLock, CheckLog, ClientFrame,
    CreateQueue, CreateTicket, DeleteHead, DeleteLock, DeleteQueue, Deliver, Entries, EpochToken,
    FetchBundle, FetchHead, FetchKeyPackage, FetchLog, FrontDoor, Head, Hello, KeyPackage,
    KeyPackageCount, KeyPackageCounts, LockKey, LockState, LockStatus, LockToken, Log, NextEpoch,
    OpenLock, PreKeyCount, PreKeyCounts, PublishKeyPackages, PublishPreKeys, PutHead, PutLock,
    RedeemTicket, RefusalKind, Refused, Register, RegistrationPolicy, RelayFrame, RelayLimits,
    Reply, Request, RowResult, Send, SendInEpoch, SendResult, SendRow, SendToken, Subscribe,
    Subscribed, Welcome,
};

const QUEUE: QueueId = QueueId::from_bytes([1; 16]);
const ACCOUNT: AccountId = AccountId::from_bytes([2; 32]);
const DEVICE: DeviceId = DeviceId::from_bytes([3; 16]);
/// A byte that stands in secrets only.
const SECRET: u8 = 201;

fn front_door() -> FrontDoor {
    FrontDoor {
        queue_id: QUEUE,
        token: SendToken::from_bytes([SECRET; 32]),
    }
}

/// A send to so many queues.
pub(crate) fn send(body: usize, rows: usize) -> ClientFrame {
    let row = |number: usize| {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
        SendRow {
            queue_id: QueueId::from_bytes(id),
            token: SendToken::from_bytes([SECRET; 32]),
        }
    };
    let request = Request::Send(Send {
        message_id: MessageId::from_bytes([4; 16]),
        body: Body::new(vec![5; body]).unwrap(),
        rows: (0..rows).map(row).collect(),
    });
    ClientFrame {
        request_id: 9,
        request,
    }
}

/// A send that names one queue two times.
pub(crate) fn send_twice_to_one_queue() -> ClientFrame {
    let mut frame = send(1024, 2);
    if let Request::Send(send) = &mut frame.request {
        send.rows[1] = send.rows[0];
    }
    frame
}

/// A send to so many queues in one epoch of a group, with every field set.
pub(crate) fn send_in_epoch(body: usize, rows: usize, next: Option<u64>) -> ClientFrame {
    let Request::Send(send) = send(body, rows).request else {
        panic!("it is a send")
    };
    let request = Request::SendInEpoch(SendInEpoch {
        group: GroupId::from_bytes([36; 32]),
        epoch: 70,
        token: EpochToken::from_bytes([SECRET; 32]),
        next: next.map(|epoch| NextEpoch {
            epoch,
            token_hash: [37; 32],
        }),
        send,
    });
    ClientFrame {
        request_id: 10,
        request,
    }
}

/// One of every request.
pub(crate) fn client_frames() -> Vec<ClientFrame> {
    let mut requests = vec![
        Request::Hello(Hello { version: 1 }),
        Request::CreateQueue(CreateQueue {
            queue_id: QUEUE,
            receive_key: [6; 32],
            send_token_hash: [7; 32],
        }),
        Request::Subscribe(Subscribe {
            queue_id: QUEUE,
            signature: [8; 64],
        }),
        Request::Acknowledge(Acknowledge {
            queue_id: QUEUE,
            up_to_seq: 77,
        }),
        Request::DeleteQueue(DeleteQueue {
            queue_id: QUEUE,
            signature: [9; 64],
        }),
        Request::AppendLog(AppendLog {
            account: ACCOUNT,
            log: vec![10; 100],
        }),
        Request::FetchLog(FetchLog::ByName("ada.l-1_".to_owned())),
        Request::FetchLog(FetchLog::ByAccount(ACCOUNT)),
        Request::PreKeyCount(PreKeyCount {
            account: ACCOUNT,
            device: DEVICE,
        }),
        Request::FetchBundle(FetchBundle {
            account: ACCOUNT,
            device: DEVICE,
        }),
        Request::CreateTicket(CreateTicket {
            ticket_hash: [11; 32],
            expires: Timestamp::from_secs(1_800_000_000),
        }),
        Request::RedeemTicket(RedeemTicket {
            ticket: [SECRET; 16],
            nonce: [SECRET; 16],
        }),
    ];
    requests.extend(pieces_heads_and_locks());
    requests.extend([None, Some("abcd-efgh".to_owned())].map(|code| {
        Request::Register(Register {
            name: "ada".to_owned(),
            log: vec![12; 100],
            code,
        })
    }));
    requests.extend(key_packages());
    requests.push(Request::PublishPreKeys(PublishPreKeys {
        account: ACCOUNT,
        device: DEVICE,
        identity: vec![13; 40],
        signed_ec: vec![14; 100],
        last_resort_kem: vec![15; 1700],
        one_time_ec: vec![vec![16; 100], vec![17; 100]],
        one_time_kem: vec![vec![18; 1700]],
        front_door: front_door(),
        replace_one_time: true,
        signature: vec![19; 3373],
    }));
    let mut frames: Vec<_> = (1..)
        .zip(requests)
        .map(|(request_id, request)| ClientFrame {
            request_id,
            request,
        })
        .collect();
    frames.extend([
        send(1024, 1),
        send(4096, 3),
        send(16_384, 1),
        send(65_536, 200),
        send_in_epoch(1024, 2, None),
        send_in_epoch(16_384, 1000, Some(71)),
    ]);
    frames
}

/// A publication of two key packages and one of last resort.
pub(crate) fn publication() -> PublishKeyPackages {
    PublishKeyPackages {
        account: ACCOUNT,
        device: DEVICE,
        suite: Suite::Cnsa2,
        packages: vec![vec![38; 6000], vec![39; 6000]],
        last_resort: Some(vec![40; 6000]),
        replace: true,
        signature: vec![41; 3373],
    }
}

fn key_packages() -> [Request; 4] {
    [
        Request::PublishKeyPackages(publication()),
        Request::PublishKeyPackages(PublishKeyPackages {
            last_resort: None,
            ..publication()
        }),
        Request::FetchKeyPackage(FetchKeyPackage {
            account: ACCOUNT,
            device: DEVICE,
            suite: Suite::Hybrid,
        }),
        Request::KeyPackageCount(KeyPackageCount {
            account: ACCOUNT,
            device: DEVICE,
            suite: Suite::Cnsa2,
        }),
    ]
}

fn pieces_heads_and_locks() -> [Request; 10] {
    [
        Request::CheckLog(CheckLog {
            account: ACCOUNT,
            sequence: 7,
        }),
        Request::AppendEntries(AppendEntries {
            account: ACCOUNT,
            after: 7,
            entries: vec![20; 300],
        }),
        Request::PutHead(PutHead {
            public_key: [21; 32],
            version: 5,
            previous: 3,
            body: vec![22; 500],
            signature: [23; 64],
        }),
        Request::FetchHead(FetchHead { id: [24; 32] }),
        Request::DeleteHead(DeleteHead {
            public_key: [25; 32],
            version: 6,
            signature: [26; 64],
        }),
        Request::PutLock(PutLock {
            public_key: [27; 32],
            key: LockKey::from_bytes([SECRET; 32]),
            token_hash: [28; 32],
            delay_seconds: 48 * 3600,
            signature: [29; 64],
        }),
        Request::OpenLock(OpenLock {
            id: [30; 32],
            token: LockToken::from_bytes([SECRET; 32]),
        }),
        Request::CancelLock(CancelLock {
            public_key: [31; 32],
            opens_at: Timestamp::from_secs(1_800_000_001),
            signature: [32; 64],
        }),
        Request::LockStatus(LockStatus { id: [33; 32] }),
        Request::DeleteLock(DeleteLock {
            public_key: [34; 32],
            signature: [35; 64],
        }),
    ]
}

/// One of every reply.
pub(crate) fn relay_frames() -> Vec<RelayFrame> {
    let bundle = Bundle {
        account: ACCOUNT,
        device: DEVICE,
        identity: vec![1; 40],
        signed_ec: vec![2; 100],
        kem: vec![3; 1700],
        kem_is_one_time: true,
        one_time_ec: Some(vec![4; 100]),
        front_door: front_door(),
    };
    let rows = vec![
        RowResult::Accepted { seq: 5 },
        RowResult::Duplicate { seq: 6 },
        RowResult::NoSuchQueue,
        RowResult::BadToken,
        RowResult::QueueFull,
    ];
    let replies = [
        Reply::Welcome(Welcome {
            relay_id: [7; 16],
            store_version: 8,
            challenge: [9; 32],
            time: Timestamp::from_secs(1_800_000_000),
            limits: RelayLimits {
                window: 32,
                rows: 1000,
                queue_letters: 10,
                blob_bytes: 11,
                retention_seconds: 12,
            },
            registration: RegistrationPolicy::Code,
        }),
        Reply::Done,
        Reply::Subscribed(Subscribed {
            next_seq: 13,
            last_acknowledged: 12,
            store_version: 14,
        }),
        Reply::SendResult(SendResult {
            rows,
            store_version: 15,
        }),
        Reply::Log(Log {
            name: "ada".to_owned(),
            account: ACCOUNT,
            log: vec![16; 100],
        }),
        Reply::PreKeyCounts(PreKeyCounts {
            one_time_ec: 17,
            one_time_kem: 18,
        }),
        Reply::Bundle(Bundle {
            one_time_ec: None,
            kem_is_one_time: false,
            ..bundle.clone()
        }),
        Reply::Bundle(bundle),
        Reply::Refused(Refused::for_now(
            RefusalKind::RateLimited,
            "too many requests",
            1500,
        )),
        Reply::Refused(Refused::new(RefusalKind::NameTaken, "the name is taken")),
        Reply::Refused(Refused::deleted(9)),
    ];
    let newer = [
        Reply::Entries(Entries {
            name: "ada".to_owned(),
            account: ACCOUNT,
            first: 8,
            entries: vec![20; 300],
            more: true,
        }),
        Reply::Head(Head {
            public_key: [21; 32],
            version: 5,
            previous: 3,
            body: vec![22; 500],
            signature: [23; 64],
        }),
        Reply::LockState(LockState { opens_at: None }),
        Reply::LockState(LockState {
            opens_at: Some(Timestamp::from_secs(1_800_000_001)),
        }),
        Reply::LockKey(LockKey::from_bytes([SECRET; 32])),
        Reply::EpochPassed { epoch: 72 },
        Reply::KeyPackage(KeyPackage {
            package: vec![42; 6000],
            last_resort: true,
        }),
        Reply::KeyPackageCounts(KeyPackageCounts {
            packages: 43,
            last_resort: true,
        }),
    ];
    let mut frames: Vec<_> = (1..)
        .zip(replies.into_iter().chain(newer))
        .map(|(request_id, reply)| RelayFrame { request_id, reply })
        .collect();
    let body = Body::new(vec![19; 1024]).unwrap();
    let deliver = Deliver {
        queue_id: QUEUE,
        seq: 20,
        body,
        hour: Timestamp::from_secs(3600),
    };
    frames.push(RelayFrame {
        request_id: 0,
        reply: Reply::Deliver(deliver),
    });
    frames
}
