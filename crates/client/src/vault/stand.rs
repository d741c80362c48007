//! A relay that keeps blobs in memory, and whoever holds a profile beside it, for tests of what faces do: both do as they
//! are told, and a test may step in between.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "test code"
)]

use super::change::Place;
use super::packs::tests::request;
use super::session::{Profile, Session};
use crate::api::{Answer, Request};
use crate::sealed::Work;
use crate::view::{self, Failure, FailureKind, HiddenText, VaultRole};
use data_encoding::HEXLOWER;
use keys::vault_root::{RootBody, VaultRoot};
use keys::{AccountId, DeviceId, GroupId, SecretBytes, SigningKey, Suite};
use seal::vault::{Keyring, seal_head};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

pub(super) const VAULT: GroupId = GroupId::from_bytes([2; 32]);

#[derive(Default)]
struct Kept {
    /// By path.
    blobs: BTreeMap<String, Vec<u8>>,
    /// Methods and paths, as they came.
    asked: Vec<(String, String)>,
    /// By generation: version and body.
    heads: BTreeMap<u32, (u64, String)>,
    pin: Option<VaultRoot>,
    refused: Option<String>,
    /// Nothing is read.
    fails: bool,
    /// Bytes that were read.
    read: u64,
    role: Option<VaultRole>,
    /// All versions that were taken.
    published: Vec<VaultRoot>,
    end: Option<End>,
    /// Somebody goes out while the vault is looked at.
    goes_out: bool,
    /// The second generation has begun, and its key is here.
    went_out: bool,
}

/// When everything ends, as for somebody who is killed.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// After so many steps.
    pub(super) after: u64,
    /// Whether the last one is done, and nobody hears of it.
    pub(super) unheard: bool,
}

/// Whether a step is done, and whether its answer is heard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Done,
    Unheard,
    Never,
}

impl Kept {
    fn step(&mut self) -> Step {
        let Some(end) = &mut self.end else {
            return Step::Done;
        };
        match end.after {
            0 => return Step::Never,
            _ => end.after -= 1,
        }
        match end.after == 0 && end.unheard {
            true => Step::Unheard,
            false => Step::Done,
        }
    }
}

/// What a test does when a version is published; what it is given publishes it. The answer is what the face hears.
type Between = Box<dyn FnOnce(&Arc<Stand>, &dyn Fn() -> bool) -> bool + Send>;

pub(super) struct Stand {
    kept: Arc<Mutex<Kept>>,
    between: Mutex<Vec<Between>>,
    url: String,
    runtime: Arc<Runtime>,
    pub(super) work: Arc<Work>,
    /// A home's directory of journals.
    pub(super) journals: PathBuf,
    _home: tempfile::TempDir,
}

fn signing() -> SigningKey {
    let seed = SecretBytes::new(vec![9; Suite::Hybrid.signing_seed_len()]);
    SigningKey::from_seed(Suite::Hybrid, seed).unwrap()
}

impl Stand {
    pub(super) fn new() -> Arc<Self> {
        let runtime = Runtime::new().unwrap();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let serving = Arc::clone(&kept);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        let home = tempfile::tempdir().unwrap();
        Arc::new(Self {
            kept,
            between: Mutex::default(),
            url,
            runtime: Arc::new(runtime),
            work: Arc::default(),
            journals: home.path().join("vaults"),
            _home: home,
        })
    }

    /// One who holds the profile, for one face.
    pub(super) fn profile(self: &Arc<Self>) -> Profile {
        let stand = Arc::clone(self);
        Profile::answered(self.runtime.handle().clone(), move |request| {
            stand.answer(request)
        })
    }

    pub(super) fn place<'a>(self: &'a Arc<Self>, profile: &'a Profile) -> Place<'a> {
        self.place_with(profile, &self.journals)
    }

    pub(super) fn place_with<'a>(
        self: &'a Arc<Self>,
        profile: &'a Profile,
        journals: &'a Path,
    ) -> Place<'a> {
        Place {
            profile,
            journals,
            vault: "plans",
            time: "2026-11-22 14-03",
            work: &self.work,
        }
    }

    pub(super) fn session(self: &Arc<Self>) -> Session {
        Session::open(&self.profile(), "plans", &self.work).unwrap()
    }

    /// Steps in when the next version is published.
    pub(super) fn next_time(
        &self,
        between: impl FnOnce(&Arc<Self>, &dyn Fn() -> bool) -> bool + Send + 'static,
    ) {
        self.between.lock().unwrap().push(Box::new(between));
    }

    /// Packs at the relay.
    pub(super) fn packs(&self) -> BTreeSet<String> {
        let kept = self.kept.lock().unwrap();
        kept.blobs.keys().cloned().collect()
    }

    /// What was asked for since the last time, by method.
    pub(super) fn asked(&self, method: &str) -> BTreeSet<String> {
        let asked = std::mem::take(&mut self.kept.lock().unwrap().asked);
        let asked = asked.into_iter().filter(|(by, _)| by == method);
        asked.map(|(_, path)| path).collect()
    }

    /// What the relay does not let anybody ask for.
    pub(super) fn refuse(&self, path: &str) {
        self.kept.lock().unwrap().refused = Some(path.to_owned());
    }

    /// Whether the relay reads nothing to anybody.
    pub(super) fn fail(&self, fails: bool) {
        self.kept.lock().unwrap().fails = fails;
    }

    /// Bytes of packs besides some.
    pub(super) fn kept_since(&self, before: &BTreeSet<String>) -> usize {
        let kept = self.kept.lock().unwrap();
        let new = kept
            .blobs
            .iter()
            .filter(|(path, _)| !before.contains(*path));
        new.map(|(_, blob)| blob.len()).sum()
    }

    /// Bytes that were read since the last time.
    pub(super) fn read(&self) -> u64 {
        std::mem::take(&mut self.kept.lock().unwrap().read)
    }

    /// From now on with another role.
    pub(super) fn be(&self, role: VaultRole) {
        self.kept.lock().unwrap().role = Some(role);
    }

    /// From now on nothing is done any more after so many steps; nothing: it goes on.
    pub(super) fn end(&self, end: Option<End>) {
        self.kept.lock().unwrap().end = end;
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        let kept = self.kept.lock().unwrap();
        kept.end.is_some_and(|end| end.after == 0)
    }

    /// All versions that were taken.
    pub(super) fn published(&self) -> Vec<VaultRoot> {
        self.kept.lock().unwrap().published.clone()
    }

    /// The version of the head, and the version of the vault that is in it.
    pub(super) fn head(&self) -> (u64, u64) {
        let kept = self.kept.lock().unwrap();
        (kept.heads[&1].0, kept.pin.as_ref().unwrap().body.counter)
    }

    /// Shows a root of somebody else in the head of its generation.
    pub(super) fn show(&self, keys: &Keyring, body: &RootBody) {
        let root = body.clone().sign(&signing()).unwrap();
        let mut kept = self.kept.lock().unwrap();
        let before = kept.heads.get(&body.generation);
        let version = before.map_or(0, |(version, _)| *version) + 1;
        let keys = keys.generation(body.generation).unwrap();
        let head = seal_head(keys, version, &root, &mut crate::os::entropy());
        let head = (version, HEXLOWER.encode(&head));
        kept.heads.insert(body.generation, head);
    }

    /// Somebody goes out when the vault is looked at the next time: its key, and word of a version under it, come behind
    /// the keys of a face.
    pub(super) fn put_out(&self) {
        self.kept.lock().unwrap().goes_out = true;
    }

    /// The key of a generation.
    pub(super) fn key(generation: u8) -> [u8; 32] {
        [generation; 32]
    }

    /// Journals that are there.
    pub(super) fn journals(&self) -> Vec<PathBuf> {
        let paths = crate::os::paths_in(&self.journals).into_iter();
        paths
            .filter(|path| path.to_string_lossy().ends_with(".packs"))
            .collect()
    }

    fn answer(self: &Arc<Self>, request: Request) -> Result<Vec<Answer>, Failure> {
        let step = self.kept.lock().unwrap().step();
        let ended = || Err(crate::failure::failure(FailureKind::Failed, "ended", None));
        match step {
            Step::Done => self.heard(request),
            Step::Unheard => self.heard(request).and(ended()),
            Step::Never => ended(),
        }
    }

    fn heard(self: &Arc<Self>, request: Request) -> Result<Vec<Answer>, Failure> {
        match request {
            Request::VaultAccess { .. } => Ok(vec![Answer::VaultAccess(self.access())]),
            Request::VaultHead { generation, .. } => {
                let kept = self.kept.lock().unwrap();
                let Some((version, body)) = kept.heads.get(&generation).cloned() else {
                    let kind = FailureKind::NotFound;
                    return Err(crate::failure::failure(kind, "no head", None));
                };
                Ok(vec![Answer::VaultHead(view::VaultHead { version, body })])
            }
            Request::VaultCheck { roots, .. } => {
                let newest = HEXLOWER.decode(roots[0].as_bytes()).unwrap();
                let newest = VaultRoot::decode(&newest).unwrap();
                let mut kept = self.kept.lock().unwrap();
                if kept.goes_out && newest.body.generation == 1 {
                    kept.went_out = true;
                    return Err(engine::EngineError::from(engine::VaultError::Withheld).into());
                }
                kept.pin = Some(newest);
                Ok(Vec::new())
            }
            Request::VaultSign { body, .. } => {
                let body = HEXLOWER.decode(body.as_bytes()).unwrap();
                let root = RootBody::decode(&body).unwrap().sign(&signing()).unwrap();
                let signature = HEXLOWER.encode(root.signature.as_bytes());
                Ok(vec![Answer::VaultSignature(view::VaultSignature {
                    signature,
                })])
            }
            Request::VaultPublish {
                generation,
                version,
                previous,
                body,
                root,
                ..
            } => {
                let head = (version, body);
                let taken = self.publish(generation, previous, head, &root);
                Ok(vec![Answer::VaultPublished(view::VaultPublished { taken })])
            }
            Request::VaultCaughtUp => Ok(Vec::new()),
            other => panic!("{other:?}"),
        }
    }

    fn access(&self) -> view::VaultAccess {
        let kept = self.kept.lock().unwrap();
        let (pin, newest) = (kept.pin.clone(), 1 + u8::from(kept.went_out));
        let key = |generation: u8| view::VaultKey {
            generation: generation.into(),
            key: HiddenText::from(HEXLOWER.encode(&Self::key(generation))),
        };
        view::VaultAccess {
            name: "plans".to_owned(),
            id: VAULT.to_string(),
            role: kept.role.unwrap_or(VaultRole::Owner),
            relay: self.url.clone(),
            account_id: AccountId::from_bytes([6; 32]).to_string(),
            device_id: DeviceId::from_bytes([7; 16]).to_string(),
            account_name: "alice".to_owned(),
            device_name: "desk".to_owned(),
            alone: false,
            keys: (1..=newest).map(key).collect(),
            pin: pin.map(|root| view::VaultPin {
                counter: root.body.counter,
                hash: HEXLOWER.encode(&root.hash().0),
                root: Some(HEXLOWER.encode(&root.encode())),
            }),
            awaits_key: false,
        }
    }

    fn publish(
        self: &Arc<Self>,
        generation: u32,
        previous: u64,
        head: (u64, String),
        root: &str,
    ) -> bool {
        let root = VaultRoot::decode(&HEXLOWER.decode(root.as_bytes()).unwrap()).unwrap();
        let put = || {
            let mut kept = self.kept.lock().unwrap();
            let there = kept.heads.get(&generation);
            let taken = there.map_or(0, |(version, _)| *version) == previous;
            if taken {
                kept.heads.insert(generation, head.clone());
                kept.pin = Some(root.clone());
                kept.published.push(root.clone());
            }
            taken
        };
        let between = self.between.lock().unwrap().pop();
        between.map_or_else(put, |between| between(self, &put))
    }
}

async fn serve(mut stream: TcpStream, kept: Arc<Mutex<Kept>>) {
    while let Some((head, body)) = request(&mut stream).await {
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let path = target.split('?').next().unwrap().to_owned();
        let answer = answer(&kept, method, &path, &head, body);
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn answer(kept: &Mutex<Kept>, method: &str, path: &str, head: &str, body: Vec<u8>) -> Vec<u8> {
    let mut kept = kept.lock().unwrap();
    kept.asked.push((method.to_owned(), path.to_owned()));
    let plain =
        |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes();
    let step = kept.step();
    if step == Step::Never {
        return plain("403 Forbidden");
    }
    let answer = asked(&mut kept, method, path, head, body);
    match step {
        Step::Unheard => plain("403 Forbidden"),
        _ => answer,
    }
}

fn asked(kept: &mut Kept, method: &str, path: &str, head: &str, body: Vec<u8>) -> Vec<u8> {
    let plain =
        |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes();
    match (method, kept.blobs.get(path)) {
        ("put", _) => {
            kept.blobs.insert(path.to_owned(), body);
            plain("204 No Content")
        }
        ("delete", _) => {
            kept.blobs.remove(path);
            plain("204 No Content")
        }
        ("post", Some(_)) => plain("204 No Content"),
        ("head", _) if kept.refused.as_deref() == Some(path) => plain("403 Forbidden"),
        ("head", Some(blob)) => {
            let length = blob.len();
            format!(
                "HTTP/1.1 200 OK\r\nupload-offset: {length}\r\nupload-complete: ?1\r\ncontent-length: 0\r\n\r\n"
            )
            .into_bytes()
        }
        ("get", _) if kept.fails => plain("503 Service Unavailable"),
        ("get", Some(blob)) => {
            let (_, range) = head.split_once("range: bytes=").unwrap();
            let range = range.split_once("\r\n").unwrap().0;
            let (from, to) = range.split_once('-').unwrap();
            let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
            let bytes = &blob[from..blob.len().min(to + 1)];
            let head = format!(
                "HTTP/1.1 206 Partial Content\r\ncontent-length: {}\r\n\r\n",
                bytes.len()
            );
            let answer = [head.as_bytes(), bytes].concat();
            kept.read += bytes.len() as u64;
            answer
        }
        _ => plain("404 Not Found"),
    }
}
