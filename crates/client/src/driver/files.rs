//! Files under way, and what becomes of them.

use super::calls::Kind;
use super::{Loop, Message};
use crate::api::Answer;
use crate::blobs::{self, DownloadJob, FileEvent, PartJob, Place, UploadJob};
use crate::limits;
use crate::view::{Failure, Notice, Progress, Saved};
use engine::Input;
use engine::records::Way;
use keys::{AccountId, BlobId, LetterId};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

/// Uploads and downloads under way.
pub(super) struct Files {
    inbox: mpsc::WeakSender<Message>,
    uploads: BTreeMap<BlobId, Uploading>,
    downloads: BTreeMap<u64, Downloading>,
    /// Parts of archives, and what is too long for a queue.
    parts: BTreeMap<BlobId, Moving>,
    /// Why letters failed for want of a file.
    reasons: BTreeMap<LetterId, Failure>,
    /// Uploads at a time.
    places: Arc<Semaphore>,
}

struct Uploading {
    letter: LetterId,
    name: String,
    total: u64,
    /// How far it ever was; an attempt that only gets so far again is no progress.
    furthest: u64,
    task: AbortHandle,
}

struct Moving {
    fetched: bool,
    task: AbortHandle,
}

struct Downloading {
    /// Where the reader hears of it: taken at the start, so that no later answer comes before.
    room: mpsc::OwnedPermit<Answer>,
    place: Place,
    name: String,
    size: u64,
    task: AbortHandle,
}

impl Files {
    pub(super) fn new(inbox: mpsc::WeakSender<Message>) -> Self {
        Self {
            inbox,
            uploads: BTreeMap::new(),
            downloads: BTreeMap::new(),
            parts: BTreeMap::new(),
            reasons: BTreeMap::new(),
            places: Arc::new(Semaphore::new(limits::UPLOADS)),
        }
    }

    /// Why a letter failed for want of a file.
    pub(super) fn why(&mut self, letter: &LetterId) -> Option<Failure> {
        self.reasons.remove(letter)
    }

    /// Stops everything where it is.
    pub(super) fn stop(self) {
        let uploads = self.uploads.into_values().map(|upload| upload.task);
        let downloads = self.downloads.into_values().map(|download| download.task);
        let parts = self.parts.into_values().map(|part| part.task);
        for task in uploads.chain(downloads).chain(parts) {
            task.abort();
        }
    }

    /// Whether parts are under way.
    pub(super) fn moves_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// Whether parts are on their way to us: a letter or an invitation may be in one.
    pub(super) fn fetches_parts(&self) -> bool {
        self.parts.values().any(|part| part.fetched)
    }

    fn events(&self) -> mpsc::Sender<FileEvent> {
        let (events, mut heard) = mpsc::channel(limits::ANSWERS);
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            while let Some(event) = heard.recv().await {
                let Some(inbox) = inbox.upgrade() else { return };
                if inbox.send(Message::File(event)).await.is_err() {
                    return;
                }
            }
        });
        events
    }
}

impl Loop {
    /// Starts an upload, or leaves it alone if it is under way.
    pub(super) fn upload(&mut self, blob: &BlobId) {
        if self.files.uploads.contains_key(blob) {
            return;
        }
        let Ok(Some(upload)) = self.engine.upload(&self.store, blob) else {
            return;
        };
        let (letter, name) = (upload.letter, upload.attachment.name.clone());
        let total = upload.attachment.length;
        let (events, places) = (self.files.events(), Arc::clone(&self.files.places));
        let task = tokio::spawn(async move {
            let Ok(_place) = places.acquire().await else {
                return;
            };
            blobs::upload(UploadJob { upload }, events).await;
        });
        self.files.uploads.insert(
            *blob,
            Uploading {
                letter,
                name,
                total,
                furthest: 0,
                task: task.abort_handle(),
            },
        );
    }

    /// Starts to store or fetch a part of an archive, or leaves it alone if it is under way.
    pub(super) fn part(&mut self, blob: &BlobId) {
        if self.files.parts.contains_key(blob) {
            return;
        }
        let Ok(Some(part)) = self.engine.part(&self.store, blob) else {
            return;
        };
        let fetched = matches!(part.way, Way::Fetch { .. });
        let Some(job) = PartJob::new(part) else {
            self.take(Input::PartFailed { blob: *blob });
            return;
        };
        let task = tokio::spawn(blobs::move_part(job, self.files.events()));
        let task = task.abort_handle();
        self.files.parts.insert(*blob, Moving { fetched, task });
    }

    fn part_ended(&mut self, blob: &BlobId, input: Input) {
        if self.files.parts.remove(blob).is_some() {
            self.take(input);
        }
    }

    /// Starts to save the next enclosure that a reader wants.
    pub(super) fn save_next(&mut self, call: u64) {
        loop {
            let Some(receiving) = self.receiving(call) else {
                return;
            };
            if receiving.saving.is_some() || receiving.to_save.is_empty() {
                return;
            }
            let Some(room) = self.room(call) else {
                self.ask_for_room(call);
                return;
            };
            let Some(receiving) = self.receiving(call) else {
                return;
            };
            let (Some(directory), Some(place)) =
                (receiving.save.clone(), receiving.to_save.pop_front())
            else {
                return;
            };
            let letter = self.engine.letter(&self.store, &place.0).ok().flatten();
            if letter
                .as_ref()
                .is_some_and(|letter| self.is_blocked(&letter.contact))
            {
                continue; // It waits for the day on which the contact is unblocked.
            }
            let index = usize::try_from(place.1).unwrap_or(usize::MAX);
            let Some(enclosure) =
                letter.and_then(|letter| letter.enclosures.into_iter().nth(index))
            else {
                // The letter is gone, and its files with it.
                let _ = self.store.note_saved(&place.0, place.1);
                continue;
            };
            let (name, size) = (enclosure.name.clone(), enclosure.size);
            let events = self.files.events();
            let task = tokio::spawn(blobs::download(
                DownloadJob {
                    call,
                    enclosure,
                    directory,
                },
                events,
            ));
            let downloading = Downloading {
                room,
                place,
                name,
                size,
                task: task.abort_handle(),
            };
            self.files.downloads.insert(call, downloading);
            if let Some(receiving) = self.receiving(call) {
                receiving.saving = Some(place);
            }
            self.came(call, 0);
            return;
        }
    }

    fn is_blocked(&self, contact: &AccountId) -> bool {
        let contact = self.engine.contact(&self.store, contact);
        contact.is_ok_and(|contact| contact.is_some_and(|contact| contact.blocked))
    }

    /// Takes a place in what a request's listener still has to hear.
    fn room(&self, call: u64) -> Option<mpsc::OwnedPermit<Answer>> {
        let answers = self.calls.open.get(&call)?.answers.clone();
        answers.try_reserve_owned().ok()
    }

    /// Stops downloads that nobody waits for any more.
    pub(super) fn stop_unwanted_downloads(&mut self) {
        let open = &self.calls.open;
        self.files.downloads.retain(|call, download| {
            let wanted = open.contains_key(call);
            if !wanted {
                download.task.abort();
            }
            wanted
        });
    }

    /// Handles news of a file.
    pub(super) fn file(&mut self, event: FileEvent) {
        match event {
            FileEvent::Sent { blob, done, total } => self.sent(&blob, done, total),
            FileEvent::Uploaded { blob } => {
                if let Some(total) = self.files.uploads.get(&blob).map(|upload| upload.total) {
                    self.sent(&blob, total, total);
                }
                self.files.uploads.remove(&blob);
                self.take(Input::Uploaded { blob });
            }
            FileEvent::Changed { blob, attachment } => {
                self.files.uploads.remove(&blob);
                self.take(Input::UploadChanged { blob, attachment });
            }
            FileEvent::NotUploaded { blob, failure } => {
                if let Some(upload) = self.files.uploads.remove(&blob) {
                    self.files.reasons.insert(upload.letter, failure);
                }
                self.take(Input::UploadFailed { blob });
            }
            FileEvent::PartStored { blob } => {
                self.part_ended(&blob, Input::PartStored { blob });
                self.backup_progress();
            }
            FileEvent::PartFetched { blob, sealed } => {
                self.part_ended(&blob, Input::PartFetched { blob, sealed });
            }
            FileEvent::PartFailed { blob } => self.part_ended(&blob, Input::PartFailed { blob }),
            FileEvent::Came { call, done } => self.came(call, done),
            FileEvent::Saved { call, path } => self.saved(call, &path),
            FileEvent::NotSaved {
                call,
                failure,
                lost,
            } => self.not_saved(call, failure, lost),
        }
    }

    /// Progress: those who wait for the letter wait on.
    fn sent(&mut self, blob: &BlobId, done: u64, total: u64) {
        let Some(upload) = self.files.uploads.get_mut(blob) else {
            return;
        };
        let moves = done > upload.furthest;
        upload.furthest = upload.furthest.max(done);
        let letter = upload.letter;
        let progress = Progress {
            what: "upload".to_owned(),
            name: upload.name.clone(),
            done,
            total,
        };
        for call in self.senders_of(&letter) {
            let Some(pending) = self.calls.open.get(&call) else {
                continue;
            };
            let _ = pending.answers.try_send(Answer::Progress(progress.clone()));
            if let Kind::Send(sending) = &pending.kind
                && moves
            {
                let patience = sending.patience;
                self.wait_until(call, patience);
            }
        }
    }

    fn came(&mut self, call: u64, done: u64) {
        let Some(download) = self.files.downloads.get(&call) else {
            return;
        };
        let (name, total) = (download.name.clone(), download.size);
        if let Some(pending) = self.calls.open.get(&call) {
            let progress = Progress {
                what: "download".to_owned(),
                name,
                done,
                total,
            };
            let _ = pending.answers.try_send(Answer::Progress(progress));
        }
        self.heard(call);
    }

    fn saved(&mut self, call: u64, path: &std::path::Path) {
        let Some(download) = self.files.downloads.remove(&call) else {
            return;
        };
        let (letter, place) = download.place;
        let noted = self.store.note_saved(&letter, place);
        let saved = Saved {
            letter: letter.to_string(),
            name: download.name,
            path: path.to_string_lossy().into_owned(),
            size: download.size,
        };
        self.heard(call);
        if let Some(receiving) = self.receiving(call) {
            receiving.saving = None;
        }
        download.room.send(Answer::Saved(saved));
        if let Err(error) = noted {
            self.fail(call, error.into());
        }
    }

    fn not_saved(&mut self, call: u64, failure: Failure, lost: bool) {
        let Some(download) = self.files.downloads.remove(&call) else {
            return;
        };
        if lost {
            let _ = self.store.note_saved(&download.place.0, download.place.1);
        }
        let message = format!("{} is not saved: {}", download.name, failure.message);
        if let Some(pending) = self.calls.open.get(&call) {
            let notice = Notice {
                notice: "enclosure_not_saved".to_owned(),
                message,
            };
            let _ = pending.answers.try_send(Answer::Notice(notice));
        }
        if let Some(receiving) = self.receiving(call) {
            receiving.saving = None;
            receiving.unsaved = Some(failure);
        }
    }
}
