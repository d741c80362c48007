//! Contents on their way into packs: one thread cuts them, all cores name and seal the chunks.

use super::chunker::{Chunks, Cutter};
use super::editor::{Editor, Meta};
use super::error::VaultError;
use super::name::VaultPath;
use super::object::Kind;
use super::over::{Input, Over, ReadAt};
use super::sealer::{Draw, Lists, Sealer};
use super::tree::Part;
use crate::parallel::Progress;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Mutex, PoisonError};

/// More threads than this want more memory than they give speed.
const THREADS: usize = 8;
/// Chunks that wait, for each thread.
const WAITING: usize = 2;

struct Job {
    file: u64,
    number: u64,
    bytes: Vec<u8>,
    draw: Draw,
}

struct Done {
    file: u64,
    number: u64,
    part: Result<Part, VaultError>,
    room: Vec<u8>,
}

/// A file whose chunks are not all sealed yet.
struct Open {
    path: VaultPath,
    meta: Meta,
    lists: Lists,
    /// The number of the chunk that comes next.
    next: u64,
    /// Chunks that came before their turn.
    early: BTreeMap<u64, Part>,
    /// How many there are. Nothing: it is still cut.
    count: Option<u64>,
}

/// Takes files one after another. A file is in the vault when all its chunks are sealed.
pub(crate) struct Pipeline<'p, 'a> {
    pub(crate) editor: &'p mut Editor<'a>,
    cutter: Cutter,
    jobs: SyncSender<Job>,
    done: Receiver<Done>,
    window: Vec<u8>,
    rooms: Vec<Vec<u8>>,
    files: BTreeMap<u64, Open>,
    last: u64,
}

fn work(
    sealer: &Sealer<'_>,
    jobs: &Mutex<Receiver<Job>>,
    done: &Sender<Done>,
    stop: &AtomicBool,
    progress: Progress<'_>,
) {
    loop {
        let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(job) = jobs.recv() else {
            return;
        };
        drop(jobs);
        // After an error what is left is only taken, so that nobody waits.
        if stop.load(Ordering::Relaxed) {
            continue;
        }
        let length = job.bytes.len() as u64;
        let part = sealer
            .put(Kind::Chunk, &job.bytes, &job.draw)
            .map(|object| Part { object, length });
        match part {
            Ok(_) => progress(length),
            Err(_) => stop.store(true, Ordering::Relaxed),
        }
        let sent = done.send(Done {
            file: job.file,
            number: job.number,
            part,
            room: job.bytes,
        });
        if sent.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

impl<'a> Editor<'a> {
    /// Puts a file, in the place of a file or a link.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_file(
        &mut self,
        path: &VaultPath,
        meta: Meta,
        input: &mut impl Read,
    ) -> Result<(), VaultError> {
        self.put_contents(path, meta, |pipeline| pipeline.contents(input))
    }

    /// Puts a file that was written over another one, in the place of a file or a link. What is as it was before is not
    /// read, but for what is cut anew.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put_file_over(
        &mut self,
        path: &VaultPath,
        meta: Meta,
        over: &Over<'_>,
        read: ReadAt<'_>,
    ) -> Result<(), VaultError> {
        self.put_contents(path, meta, |pipeline| pipeline.contents_over(over, read))
    }

    fn put_contents(
        &mut self,
        path: &VaultPath,
        meta: Meta,
        contents: impl FnOnce(&mut Pipeline<'_, 'a>) -> Result<io::Result<()>, VaultError>,
    ) -> Result<(), VaultError> {
        let disk = |error| VaultError::Disk {
            path: path.to_string().into(),
            error,
        };
        self.pipeline(&|_| {}, |pipeline| {
            pipeline.begin(path, meta)?;
            contents(pipeline)?.map_err(disk)?;
            pipeline.end()
        })
    }

    /// Runs threads that seal while `feed` gives them files.
    pub(crate) fn pipeline<T>(
        &mut self,
        progress: Progress<'_>,
        feed: impl FnOnce(&mut Pipeline<'_, 'a>) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = cores.min(THREADS);
        let (jobs, taken) = mpsc::sync_channel(threads.saturating_mul(WAITING));
        let (finished, done) = mpsc::channel();
        let taken = Mutex::new(taken);
        let stop = AtomicBool::new(false);
        let sealer = self.sealer.clone();
        let cutter = Cutter::new(sealer.keys.ids().chunk_seed());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (sealer, taken, stop, finished) = (&sealer, &taken, &stop, finished.clone());
                scope.spawn(move || work(sealer, taken, &finished, stop, progress));
            }
            drop(finished);
            let mut pipeline = Pipeline {
                editor: self,
                cutter,
                jobs,
                done,
                window: Vec::new(),
                rooms: Vec::new(),
                files: BTreeMap::new(),
                last: 0,
            };
            let fed = feed(&mut pipeline)?;
            pipeline.drain()?;
            Ok(fed)
        })
    }
}

impl Pipeline<'_, '_> {
    /// Begins a file.
    pub(crate) fn begin(&mut self, path: &VaultPath, meta: Meta) -> Result<(), VaultError> {
        self.last = self.last.saturating_add(1);
        let open = Open {
            path: path.clone(),
            meta,
            lists: Lists::default(),
            next: 0,
            early: BTreeMap::new(),
            count: None,
        };
        self.files.insert(self.last, open);
        Ok(())
    }

    /// Gives up the file that was begun last.
    pub(crate) fn give_up(&mut self) {
        self.files.remove(&self.last);
    }

    /// Cuts the contents of the file that was begun last. The inner error is that of `input`.
    pub(crate) fn contents(&mut self, input: &mut impl Read) -> Result<io::Result<()>, VaultError> {
        let mut window = std::mem::take(&mut self.window);
        let read = self.cut(input, &mut window);
        self.window = window;
        read
    }

    fn cut(
        &mut self,
        input: &mut impl Read,
        window: &mut Vec<u8>,
    ) -> Result<io::Result<()>, VaultError> {
        let cutter = std::mem::replace(&mut self.cutter, Cutter::new(0));
        let mut chunks = Chunks::new(&cutter, window);
        let mut number = 0;
        let ended = loop {
            let chunk = match chunks.next(input) {
                Ok([]) => break Ok(()),
                Ok(chunk) => chunk,
                Err(error) => break Err(error),
            };
            self.send(number, chunk)?;
            number = number.saturating_add(1);
        };
        self.cutter = cutter;
        self.count(number);
        Ok(ended)
    }

    /// As [`Pipeline::contents`] does, of a file that was written over: what is as before is not read.
    pub(crate) fn contents_over(
        &mut self,
        over: &Over<'_>,
        read: ReadAt<'_>,
    ) -> Result<io::Result<()>, VaultError> {
        let mut window = std::mem::take(&mut self.window);
        let cutter = std::mem::replace(&mut self.cutter, Cutter::new(0));
        let mut chunks = Chunks::new(&cutter, &mut window).sparing();
        let mut before = over.before(&self.editor.reader())?;
        let mut input = Input { at: 0, read };
        let (mut at, mut number): (u64, u64) = (0, 0);
        let ended = loop {
            let kept = before.at(&self.editor.reader(), at)?;
            if let Some(part) = kept.filter(|part| over.keeps(at, part, self.generation())) {
                at = at.saturating_add(part.length);
                self.came(self.last, number, part)?;
                chunks.begin_again();
                input.at = at;
            } else {
                let chunk = match chunks.next(&mut input) {
                    Ok([]) => break Ok(()),
                    Ok(chunk) => chunk,
                    Err(error) => break Err(error),
                };
                at = at.saturating_add(chunk.len() as u64);
                self.send(number, chunk)?;
            }
            number = number.saturating_add(1);
        };
        self.cutter = cutter;
        self.window = window;
        self.count(number);
        Ok(ended)
    }

    fn generation(&self) -> u32 {
        self.editor.sealer.packer.generation()
    }

    /// The file that was begun last has so many chunks.
    fn count(&mut self, number: u64) {
        if let Some(open) = self.files.get_mut(&self.last) {
            open.count = Some(number);
        }
    }

    /// Has a chunk of the file that was begun last sealed.
    fn send(&mut self, number: u64, chunk: &[u8]) -> Result<(), VaultError> {
        let mut bytes = self.rooms.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(chunk);
        let job = Job {
            file: self.last,
            number,
            bytes,
            draw: Draw::new(self.editor.rng),
        };
        // The receiver lives as long as the threads do.
        let _ = self.jobs.send(job);
        while let Ok(done) = self.done.try_recv() {
            self.take(done)?;
        }
        Ok(())
    }

    /// The file that was begun last is whole.
    pub(crate) fn end(&mut self) -> Result<(), VaultError> {
        self.settle(self.last)
    }

    fn take(&mut self, done: Done) -> Result<(), VaultError> {
        let part = done.part?;
        self.rooms.push(done.room);
        self.came(done.file, done.number, part)
    }

    /// A chunk of a file is where packs are.
    fn came(&mut self, file: u64, number: u64, part: Part) -> Result<(), VaultError> {
        let Some(open) = self.files.get_mut(&file) else {
            return Ok(());
        };
        open.early.insert(number, part);
        while let Some(part) = open.early.remove(&open.next) {
            open.next = open.next.saturating_add(1);
            self.editor.push_part(&mut open.lists, part)?;
        }
        match file == self.last {
            // It may be given up still.
            true => Ok(()),
            false => self.settle(file),
        }
    }

    /// Puts a file into the vault if all its chunks are there.
    fn settle(&mut self, file: u64) -> Result<(), VaultError> {
        let whole = |open: &Open| open.count == Some(open.next);
        if !self.files.get(&file).is_some_and(whole) {
            return Ok(());
        }
        let Some(open) = self.files.remove(&file) else {
            return Ok(());
        };
        let what = self.editor.finish_lists(open.lists)?;
        self.editor.put_node(&open.path, open.meta.with(what))
    }

    /// Waits for all files.
    pub(crate) fn drain(&mut self) -> Result<(), VaultError> {
        self.last = self.last.saturating_add(1);
        let waiting: Vec<u64> = self.files.keys().copied().collect();
        for file in waiting {
            self.settle(file)?;
        }
        while !self.files.is_empty() {
            match self.done.recv() {
                Ok(done) => self.take(done)?,
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }
}
