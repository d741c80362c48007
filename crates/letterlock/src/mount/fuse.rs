//! A mounted vault, as the kernel asks for it.

use client::vault::{About, Changes, FileSystem, Kind, Trouble};
use fuser::{
    Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, MountOption, OpenAccMode, OpenFlags, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, Session, TimeOrNow, WriteFlags,
};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long the kernel takes what it knows for true: others write too.
const KNOWN: Duration = Duration::from_secs(1);
/// Threads that answer the kernel.
const THREADS: usize = 4;
/// What one read or write asks for at most.
const MOST: u32 = 1 << 20;
/// What programs are told to read at a time.
const BLOCK: u32 = 128 * 1024;
/// What disks count in.
const SECTOR: u64 = 512;
const PAGE: u64 = 4096;

type Listed = Arc<Vec<(Vec<u8>, About)>>;

/// Shows a vault in a directory until it is unmounted.
///
/// *Errors*: what the system says; then nothing is mounted.
pub(super) fn session(files: Arc<FileSystem>, directory: &Path) -> io::Result<Session<Shown>> {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::FSName("letterlock".to_owned()),
        MountOption::Subtype("letterlock".to_owned()),
        MountOption::NoDev,
        MountOption::NoSuid,
        MountOption::NoAtime,
        MountOption::DefaultPermissions,
        match files.is_read_only() {
            true => MountOption::RO,
            false => MountOption::RW,
        },
    ];
    config.n_threads = Some(THREADS);
    let shown = Shown {
        files,
        owner: (
            rustix::process::getuid().as_raw(),
            rustix::process::getgid().as_raw(),
        ),
        listed: Mutex::default(),
    };
    Session::new(shown, directory, &config)
}

/// A vault, as the kernel sees it.
pub(super) struct Shown {
    files: Arc<FileSystem>,
    owner: (u32, u32),
    /// Directories that are being read, as they were when that began.
    listed: Mutex<(u64, HashMap<u64, Listed>)>,
}

fn errno(trouble: Trouble) -> Errno {
    match trouble {
        Trouble::NotFound => Errno::ENOENT,
        Trouble::Exists => Errno::EEXIST,
        Trouble::NotADirectory => Errno::ENOTDIR,
        Trouble::IsADirectory => Errno::EISDIR,
        Trouble::NotEmpty => Errno::ENOTEMPTY,
        Trouble::ReadOnly => Errno::EROFS,
        Trouble::TooLong => Errno::ENAMETOOLONG,
        Trouble::Invalid => Errno::EINVAL,
        Trouble::NotHeld => Errno::EPERM,
        Trouble::NoRoom => Errno::ENOSPC,
        Trouble::TooLarge => Errno::EFBIG,
        _ => Errno::EIO,
    }
}

fn time((seconds, nanoseconds): (i64, u32)) -> SystemTime {
    let away = Duration::from_secs(seconds.unsigned_abs());
    let whole = match seconds < 0 {
        true => UNIX_EPOCH.checked_sub(away),
        false => UNIX_EPOCH.checked_add(away),
    };
    let part = Duration::from_nanos(nanoseconds.into());
    whole
        .and_then(|whole| whole.checked_add(part))
        .unwrap_or(UNIX_EPOCH)
}

fn seconds(time: SystemTime) -> (i64, u32) {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => {
            let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
            (seconds, since.subsec_nanos())
        }
        Err(before) => {
            let before = before.duration();
            let seconds = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
            match before.subsec_nanos() {
                0 => (seconds.saturating_neg(), 0),
                part => (
                    seconds.saturating_neg().saturating_sub(1),
                    1_000_000_000_u32.saturating_sub(part),
                ),
            }
        }
    }
}

fn kind(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Link => FileType::Symlink,
    }
}

fn mode(bits: u32) -> u16 {
    u16::try_from(bits & 0o777).unwrap_or(0)
}

impl Shown {
    fn attr(&self, about: &About) -> FileAttr {
        let modified = time(about.modified);
        FileAttr {
            ino: INodeNo(about.number),
            size: about.size,
            blocks: about.size.div_ceil(SECTOR),
            atime: modified,
            mtime: modified,
            ctime: modified,
            crtime: modified,
            kind: kind(about.kind),
            perm: about.mode,
            nlink: match (about.named, about.kind) {
                (false, _) => 0,
                (true, Kind::Directory) => 2,
                (true, _) => 1,
            },
            uid: self.owner.0,
            gid: self.owner.1,
            rdev: 0,
            blksize: BLOCK,
            flags: 0,
        }
    }

    fn entry(&self, found: Result<About, Trouble>, reply: ReplyEntry) {
        match found {
            Ok(about) => reply.entry(&KNOWN, &self.attr(&about), Generation(0)),
            Err(trouble) => reply.error(errno(trouble)),
        }
    }

    fn about(&self, found: Result<About, Trouble>, reply: ReplyAttr) {
        match found {
            Ok(about) => reply.attr(&KNOWN, &self.attr(&about)),
            Err(trouble) => reply.error(errno(trouble)),
        }
    }

    /// What is in a directory, with itself and the one above it; read anew where reading begins anew.
    fn listed(&self, number: INodeNo, handle: FileHandle, offset: u64) -> Result<Listed, Trouble> {
        let kept = {
            let listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
            listed.1.get(&handle.0).cloned()
        };
        match kept {
            Some(kept) if offset > 0 => Ok(kept),
            _ => {
                let itself = self.files.about(number.0)?;
                let mut all = vec![(b".".to_vec(), itself), (b"..".to_vec(), itself)];
                let names = self.files.list(number.0)?.into_iter();
                all.extend(names.map(|(name, about)| (name.as_bytes().to_vec(), about)));
                let all = Arc::new(all);
                let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
                listed.1.insert(handle.0, Arc::clone(&all));
                Ok(all)
            }
        }
    }
}

fn done(done: Result<(), Trouble>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(trouble) => reply.error(errno(trouble)),
    }
}

/// Entries from an offset, each with the offset of the next one.
fn from(listed: &Listed, offset: u64) -> impl Iterator<Item = (u64, &(Vec<u8>, About))> {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    listed
        .iter()
        .enumerate()
        .skip(offset)
        .map(|(at, entry)| ((at as u64).saturating_add(1), entry))
}

impl Filesystem for Shown {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for wish in [
            InitFlags::FUSE_AUTO_INVAL_DATA,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_READDIRPLUS_AUTO,
            InitFlags::FUSE_PARALLEL_DIROPS,
        ] {
            // A kernel that has it not does without.
            let _ = config.add_capabilities(wish);
        }
        let _ = config.set_max_write(MOST);
        if let Err(most) = config.set_max_readahead(MOST) {
            let _ = config.set_max_readahead(most);
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(self.files.look_up(parent.0, name.as_bytes()), reply);
    }

    fn forget(&self, _: &Request, ino: INodeNo, nlookup: u64) {
        self.files.forget(ino.0, nlookup);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.about(self.files.about(ino.0), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        bits: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let other = |wish: Option<u32>, own: u32| wish.is_some_and(|wish| wish != own);
        if other(uid, self.owner.0) || other(gid, self.owner.1) {
            return reply.error(Errno::EPERM);
        }
        let changes = Changes {
            mode: bits.map(mode),
            size,
            modified: mtime.map(|mtime| match mtime {
                TimeOrNow::SpecificTime(time) => seconds(time),
                TimeOrNow::Now => crate::os::wall(),
            }),
        };
        self.about(self.files.set(ino.0, changes), reply);
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.files.target(ino.0) {
            Ok(target) => reply.data(&target),
            Err(trouble) => reply.error(errno(trouble)),
        }
    }

    fn mknod(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        bits: u32,
        _: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        // The bits of the type of a plain file, or none.
        if !matches!(bits & 0o170_000, 0 | 0o100_000) {
            return reply.error(Errno::EPERM);
        }
        let made = self.files.create(parent.0, name.as_bytes(), mode(bits));
        let made = made.map(|(about, handle)| {
            self.files.close(handle);
            about
        });
        self.entry(made, reply);
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        bits: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        let name = name.as_bytes();
        let made = self.files.make_directory(parent.0, name, mode(bits));
        self.entry(made, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.files.remove(parent.0, name.as_bytes(), false), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        done(self.files.remove(parent.0, name.as_bytes(), true), reply);
    }

    fn symlink(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        target: &Path,
        reply: ReplyEntry,
    ) {
        let target = target.as_os_str().as_bytes();
        let made = self.files.make_link(parent.0, name.as_bytes(), target);
        self.entry(made, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if !RenameFlags::RENAME_NOREPLACE.contains(flags) {
            return reply.error(Errno::EINVAL);
        }
        let (from, to) = (
            (parent.0, name.as_bytes()),
            (newparent.0, newname.as_bytes()),
        );
        done(self.files.rename(from, to, flags.is_empty()), reply);
    }

    fn link(&self, _: &Request, _: INodeNo, _: INodeNo, _: &OsStr, reply: ReplyEntry) {
        reply.error(Errno::EPERM);
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let writes = flags.acc_mode() != OpenAccMode::O_RDONLY;
        match self.files.open(ino.0, writes) {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(trouble) => reply.error(errno(trouble)),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        bits: u32,
        _: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        match self.files.create(parent.0, name.as_bytes(), mode(bits)) {
            Ok((about, handle)) => reply.created(
                &KNOWN,
                &self.attr(&about),
                Generation(0),
                FileHandle(handle),
                FopenFlags::empty(),
            ),
            Err(trouble) => reply.error(errno(trouble)),
        }
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.files.read(fh.0, offset, size as usize) {
            Ok(bytes) => reply.data(&bytes),
            Err(trouble) => reply.error(errno(trouble)),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.files.write(fh.0, offset, data) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(0)),
            Err(trouble) => reply.error(errno(trouble)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.files.close(fh.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(self.files.sync(ino.0), reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(self.files.sync(ino.0), reply);
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.0 = listed.0.saturating_add(1);
        reply.opened(FileHandle(listed.0), FopenFlags::empty());
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.1.remove(&fh.0);
        reply.ok();
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let listed = match self.listed(ino, fh, offset) {
            Ok(listed) => listed,
            Err(trouble) => return reply.error(errno(trouble)),
        };
        for (next, (name, about)) in from(&listed, offset) {
            let number = INodeNo(about.number);
            if reply.add(number, next, kind(about.kind), OsStr::from_bytes(name)) {
                break;
            }
        }
        reply.ok();
    }

    fn readdirplus(
        &self,
        _: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let listed = match self.listed(ino, fh, offset) {
            Ok(listed) => listed,
            Err(trouble) => return reply.error(errno(trouble)),
        };
        for (next, (name, about)) in from(&listed, offset) {
            // The kernel forgets what it is told of, but for these two.
            let plain = matches!(name.as_slice(), b"." | b"..");
            let about = match plain {
                true => *about,
                false => match self.files.look_up(ino.0, name) {
                    Ok(about) => about,
                    // It went meanwhile.
                    Err(Trouble::NotFound) => continue,
                    Err(trouble) => return reply.error(errno(trouble)),
                },
            };
            let attr = self.attr(&about);
            let name = OsStr::from_bytes(name);
            if reply.add(attr.ino, next, name, &KNOWN, &attr, Generation(0)) {
                if !plain {
                    self.files.forget(about.number, 1);
                }
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (all, free) = self.files.room();
        let page = u32::try_from(PAGE).unwrap_or(4096);
        let (all, free) = (all / PAGE, free / PAGE);
        reply.statfs(all, free, free, 0, 0, page, 255, page);
    }

    fn setxattr(
        &self,
        _: &Request,
        _: INodeNo,
        _: &OsStr,
        _: &[u8],
        _: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        reply.error(Errno::ENOTSUP);
    }

    fn getxattr(&self, _: &Request, _: INodeNo, _: &OsStr, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOTSUP);
    }

    fn listxattr(&self, _: &Request, _: INodeNo, _: u32, reply: ReplyXattr) {
        reply.error(Errno::ENOTSUP);
    }

    fn removexattr(&self, _: &Request, _: INodeNo, _: &OsStr, reply: ReplyEmpty) {
        reply.error(Errno::ENOTSUP);
    }
}
