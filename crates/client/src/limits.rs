//! Every bound the client puts on foreign input, and every time it waits.

use std::time::Duration;

/// Longest WebSocket message in bytes.
pub(crate) const FRAME_BYTES: usize = 80 * 1024;
/// Longest line on the agent's socket in bytes: the longest header of a sealed file, in hexadecimal.
pub(crate) const LINE_BYTES: usize = 10 * 1024 * 1024;
/// Connections the agent serves at a time.
pub(crate) const AGENT_CONNECTIONS: usize = 64;
/// Time for a connection to stand, TLS and greeting included.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// Time for a relay to answer a request.
pub(crate) const ANSWER: Duration = Duration::from_secs(30);
/// Silence after which the relay is asked for a sign of life.
pub(crate) const QUIET: Duration = Duration::from_secs(25);
/// Silence after which the connection counts as dead.
pub(crate) const DEAD: Duration = Duration::from_secs(60);
/// First pause before another attempt to connect; it doubles each time.
pub(crate) const BACK_OFF_FIRST: Duration = Duration::from_millis(200);
/// Longest pause between attempts to connect.
pub(crate) const BACK_OFF_LAST: Duration = Duration::from_secs(30);
/// Longest pause a relay may ask for before a request is offered again.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(300);
/// Time another process gets to give the home's lock back.
pub(crate) const LOCK: Duration = Duration::from_secs(10);
/// Pause between attempts to take the lock.
pub(crate) const LOCK_POLL: Duration = Duration::from_millis(50);
/// Time a command waits for a relay's answer.
pub(crate) const COMMAND: Duration = Duration::from_secs(20);
/// Time a command that needs an answer keeps trying after an attempt to connect failed.
pub(crate) const LAST_ATTEMPTS: Duration = Duration::from_secs(3);
/// Time a new device waits until the other one answers: as long as the secret counts.
pub(crate) const LINK: Duration = Duration::from_secs(engine::limits::LINK_SECRET_SECONDS);
/// Time for which letters are held back while what other devices of the account say of them may still come.
pub(crate) const HOLD: Duration = Duration::from_secs(10);
/// Time for the last acknowledgements to leave when the client closes.
pub(crate) const CLOSE: Duration = Duration::from_secs(2);
/// Pause between ticks of the engine.
pub(crate) const TICK: Duration = Duration::from_secs(1);
/// Messages that wait for the driver.
pub(crate) const INBOX: usize = 256;
/// Answers that wait for a face.
pub(crate) const ANSWERS: usize = 64;
/// Uploads at a time.
pub(crate) const UPLOADS: usize = 2;
/// Pause between two reports of progress.
pub(crate) const PROGRESS: Duration = Duration::from_millis(200);
/// Silence of a blob transfer after which it is begun again.
pub(crate) const STALL: Duration = Duration::from_secs(60);
/// Attempts of a download before the reader is told.
pub(crate) const DOWNLOAD_ATTEMPTS: u32 = 8;
/// Longest part of an archive that is fetched, in bytes.
pub(crate) const PART_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;
/// Time for one attempt to move a part of an archive.
pub(crate) const PART: Duration = Duration::from_secs(300);
/// Attempts at a pack of a vault, with pauses of up to 10 seconds, before the person is told.
pub(crate) const VAULT_ATTEMPTS: u32 = 15;
/// Attempts at a part of a mounted vault, with pauses of up to a second and a half together, before the reader is told.
pub(crate) const VAULT_READ_ATTEMPTS: u32 = 3;
/// Bytes of files of a mounted vault that stay in memory.
pub(crate) const MOUNT_CACHE_BYTES: usize = 64 << 20;
/// Chunks that are fetched before somebody asks for them.
pub(crate) const MOUNT_AHEAD: usize = 4;
/// How long nothing may be written to a mounted vault before what was written becomes a version.
pub(crate) const MOUNT_QUIET: Duration = Duration::from_secs(2);
/// How much of that pause is taken for over where a file is still being written.
pub(crate) const MOUNT_QUIET_LEFT: Duration = Duration::from_secs(1);
/// How long what was written waits for such a pause.
pub(crate) const MOUNT_PATIENCE: Duration = Duration::from_secs(20);
/// Longest file that says what was changed in a mounted vault, in bytes.
pub(crate) const MOUNT_LOG_BYTES: u64 = 1 << 30;
/// Longest record of it.
pub(crate) const MOUNT_RECORD_BYTES: usize = 1 << 20;
/// How often a file that is written to all the time is read again for a version.
pub(crate) const MOUNT_TRIES: usize = 3;
/// Damaged files of a mounted vault that are named to the person.
pub(crate) const MOUNT_DAMAGED_SHOWN: usize = 5;
/// Connections to a vault that is served by WebDAV, at a time.
pub(crate) const DAV_CONNECTIONS: usize = 64;
/// Longest body of a request that is no file.
pub(crate) const DAV_BODY_BYTES: usize = 64 * 1024;
/// How long a lock is held.
pub(crate) const DAV_LOCK: Duration = Duration::from_secs(600);
/// Locks at a time.
pub(crate) const DAV_LOCKS: usize = 1024;
/// Versions of a vault that are looked through to find the one that was known before, as the engine has it.
pub(crate) const VAULT_ROOTS: usize = 1000;
/// How long the packs of a vault are not asked for by this device before it says that they are used still: the relay
/// forgets what nobody asked for in 400 days.
pub(crate) const VAULT_TOUCH_SECONDS: u64 = 30 * 24 * 3600;
/// Pause before the head of a vault that does not count is looked at again: whoever wrote it may be telling the others.
pub(crate) const VAULT_LOOK_TWICE: Duration = Duration::from_secs(1);
/// How often the clock is looked at until the second is over in which a person took what the relay shows.
pub(crate) const VAULT_JOINING_LOOKS: u32 = 24;
/// Pause between two such looks.
pub(crate) const VAULT_JOINING_LOOK: Duration = Duration::from_millis(50);
/// How often a head that shows what does not count is written over, or that of an older generation is closed, before it is
/// given up: whoever is out still has the key of an older one.
pub(crate) const VAULT_TRIES: u32 = 8;
/// Packs that are said to be used at a time.
pub(crate) const VAULT_TOUCHES: usize = 8;
/// How often a change of a vault is brought together with what others wrote meanwhile.
pub(crate) const VAULT_MERGES: u32 = 50;
/// How long whoever writes in a vault waits for the new key after somebody went out, and how often it looks.
pub(crate) const VAULT_KEY_WAIT: Duration = Duration::from_secs(60);
pub(crate) const VAULT_KEY_LOOK: Duration = Duration::from_millis(100);
/// Longest head or error text of an HTTP answer in bytes.
pub(crate) const HTTP_HEAD_BYTES: usize = 16 * 1024;
/// How often the backup is brought up to date when the client closes: what comes while it is written is new again.
pub(crate) const LAST_BACKUPS: u8 = 3;
/// How often a folder is looked through again because somebody writes in it meanwhile.
pub(crate) const VAULT_LOOKS: usize = 8;
/// How long nothing may happen in a folder before it is looked through without a sign.
pub(crate) const VAULT_LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How long nothing may happen in a folder before a relay that did not answer is asked again.
pub(crate) const VAULT_ASK_AGAIN: Duration = Duration::from_secs(5);
/// A pause that says that a file is written.
pub(crate) const VAULT_QUIET: Duration = Duration::from_millis(300);
/// Bytes of what is given that travel together.
pub(crate) const PARCEL_PIECE: usize = 4 * 1024 * 1024;
/// Pieces of it between the sealing and the network.
pub(crate) const PARCEL_PIECES: usize = 2;
/// Attempts to move a piece of it, or to fetch more of it, before a person is told.
pub(crate) const PARCEL_ATTEMPTS: u32 = 10;
/// Numbers that are tried before a giver is told that all are taken.
pub(crate) const GIVE_NAMEPLATES: u32 = 24;
/// Numbers of four digits that are tried before those of five.
pub(crate) const GIVE_SHORT_NAMEPLATES: u32 = 4;
/// Takers that a giver has answered and that have not confirmed yet; the oldest makes room.
pub(crate) const GIVE_EXCHANGES: usize = 8;
/// Silence of the giver after which a taker gives up.
pub(crate) const GIVE_PATIENCE: Duration = Duration::from_secs(20);
/// How much in a row of what [`want_of_room`] counts ends the wait for room at a relay.
pub(crate) const WANT_OF_ROOM: u32 = 3;

/// How much a refusal says that the relay has no room: a limit that is reached stays so for long, a store that failed may
/// work in a moment.
pub(crate) fn want_of_room(refusal: wire::RefusalKind) -> u32 {
    match refusal {
        wire::RefusalKind::Quota => WANT_OF_ROOM,
        wire::RefusalKind::Storage => 1,
        _ => 0,
    }
}

/// How often a giver says that its upload is not at its end.
pub(crate) const GIVE_WAIT: Duration = Duration::from_secs(5);
/// Time that a taker who confirmed has at least, whatever the code's expiry says.
pub(crate) const GIVE_TAKING: Duration = Duration::from_secs(3600);
/// Time for what is to be removed at the relay when a transfer ends.
pub(crate) const GIVE_CLEAN: Duration = Duration::from_secs(10);
/// Age in seconds after which nothing is kept of a transfer that stopped.
pub(crate) const GIVE_KEPT_SECONDS: u64 = 2 * 24 * 3600;
/// Looks for what is kept of one where another process has it, and the pause between them.
pub(crate) const GIVE_LOOKS: u32 = 20;
pub(crate) const GIVE_LOOK: Duration = Duration::from_millis(10);
/// Longest file of what is kept of one, in bytes.
pub(crate) const GIVE_STATE_BYTES: u64 = 16 * 1024;
/// Connections to the page that takes links, at a time.
pub(crate) const PAGE_CONNECTIONS: usize = 16;
