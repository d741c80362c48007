//! Every bound the engine puts on foreign input, and every number it chose itself.

/// Seconds for which a word without a session is taken, and known once it was: longer than a relay keeps one, and than
/// most clocks are wrong.
pub const WORD_KNOWN_SECONDS: u64 = 45 * 24 * 3600;
/// The longest signature of such a word, in bytes.
pub const WORD_SIGNATURE_BYTES: usize = 8 * 1024;
/// Longest text of one letter in bytes; longer texts go as a file.
pub const TEXT_BYTES: usize = 48 * 1024;
/// Longest reaction to a letter in bytes.
pub const REACTION_BYTES: usize = 32;
/// Reactions to one letter: as many as a group has leaves.
pub const REACTIONS: usize = ::groups::LEAVES;
/// Edits of one letter.
pub const EDITS: u8 = 10;
/// Seconds for which a letter can be edited, by its author's clock.
pub const EDIT_SECONDS: u64 = 24 * 3600;
/// Reactions to letters that are not here yet, in all.
pub const REACTIONS_AHEAD: usize = 1_024;
/// Reactions of one author to letters that are not here yet.
pub const REACTIONS_AHEAD_EACH: usize = 64;
/// Edits and deletions of one author of letters that are not here yet.
pub const AMENDMENTS_AHEAD: usize = 32;
/// Enclosures of one letter.
pub const ENCLOSURES: usize = 32;
/// Longest file name shown, in bytes.
pub const FILE_NAME_BYTES: usize = 255;
/// Longest name of an account in bytes.
pub const NAME_BYTES: usize = 32;
/// Longest URL of a relay, pin included, in bytes.
pub const RELAY_URL_BYTES: usize = 256;
/// Longest account log that travels inside a first letter, in bytes.
pub const LOG_IN_ENVELOPE_BYTES: usize = 48 * 1024;
/// Letters that one receipt may name.
pub const RECEIPT_LETTERS: usize = 256;
/// One-time EC pre-keys kept at the relay.
pub const ONE_TIME_EC_KEYS: u32 = 60;
/// One-time KEM pre-keys kept at the relay.
pub const ONE_TIME_KEM_KEYS: u32 = 20;
/// One-time KEM pre-keys in one request, so that it fits a frame.
pub const KEM_KEYS_A_REQUEST: usize = 10;
/// New keys are published when so many or fewer are left.
pub const TOP_UP_BELOW: u32 = 10;
/// Seconds after which a pre-key's signature is no longer accepted.
pub const PRE_KEY_VALID_SECONDS: u64 = 90 * 24 * 3600;
/// Seconds a sealed body is kept for sending again.
pub const SENT_KEPT_SECONDS: u64 = 30 * 24 * 3600;
/// Seconds for which pre-keys open first letters after others took their place: a session that nobody answers may send for
/// 30 days, and a relay keeps as long what was sealed in it. One-time keys at the relay are replaced after as long.
pub const PRE_KEYS_KEPT_SECONDS: u64 = 2 * SENT_KEPT_SECONDS;
/// Seconds for which keys that were replaced open what was sealed to them: as long as a letter may lie at a relay.
pub const REPLACED_KEPT_SECONDS: u64 = SENT_KEPT_SECONDS;
/// Seconds for which they open anything from a device once it was heard under the new keys.
pub const HEARD_ANEW_SECONDS: u64 = 600;
/// Seconds between two searches for bodies that were kept long enough.
pub const SWEEP_SECONDS: u64 = 3600;
/// Seconds until a letter without receipt is offered to the relay again when a connection begins.
pub const RESEND_AFTER_SECONDS: u64 = 24 * 3600;
/// Receipts wait up to so many seconds, so that they say less about when a letter was read.
pub const RECEIPT_JITTER_SECONDS: u64 = 2;
/// Seconds until a receipt that found no session is looked at again.
pub const RECEIPT_AGAIN_SECONDS: u64 = 5;
/// Longest life of an invite in seconds.
pub const INVITE_SECONDS: u64 = 30 * 24 * 3600;
/// Letters of unknown senders kept in all.
pub const CONTACT_REQUESTS: usize = 1_000;
/// Seconds for which a confirmed account log lets letters leave; each connection begins anew. So long, at most, does
/// somebody encrypt to a device that was just revoked.
pub const LOG_CHECKED_SECONDS: u64 = 10;
/// Seconds after which a question for a log that a relay leaves open keeps no letter of a group back, and people are told;
/// longer than a relay that is busy asks to wait.
pub const LOG_UNANSWERED_SECONDS: u64 = 60;
/// Seconds that it has for that, at least, when a connection begins.
pub const LOG_UNANSWERED_ANEW_SECONDS: u64 = 20;
/// Seconds between questions for the own log that nothing else brings up.
pub const OWN_LOG_SECONDS: u64 = 60;
/// A part of an archive is closed when it has so many bytes.
pub const PART_BYTES: usize = 1 << 20;
/// Longest sealed part, in bytes: the ratchet tree of the largest group in `cnsa2` has 21 MiB.
pub const SEALED_PART_BYTES: usize = 1 << 25;
/// Seconds for which the secret of a link counts.
pub const LINK_SECRET_SECONDS: u64 = 120;
/// Seconds in which a link must be compared once it began.
pub const LINK_SECONDS: u64 = 600;
/// Seconds in which a new device must have taken everything over, or it is revoked again.
pub const LINK_INSTALL_SECONDS: u64 = 24 * 3600;
/// Seconds in which two people must have compared a short code.
pub const SAS_SECONDS: u64 = 600;
/// Seconds for which a code to show or compare waits for the logs.
pub const CODE_SECONDS: u64 = 60;
/// Longest part of a word of such a comparison, in bytes.
pub const SAS_BYTES: usize = 64;
/// Device lists, newest first, that a session of a peer may be bound to.
pub const DEVICE_LISTS: usize = 8;
/// Seconds between two backups.
pub const BACKUP_PAUSE_SECONDS: u64 = 5;
/// Seconds after which a backup is packed anew: what was deleted goes there too, and its blobs are young again.
pub const BACKUP_WHOLE_SECONDS: u64 = 10 * 24 * 3600;
/// Parts after which a backup is packed anew.
pub const BACKUP_PARTS: usize = 64;
/// Longest tail of a backup's head, in bytes.
pub const BACKUP_TAIL_BYTES: usize = 40 * 1024;
/// Devices that one body goes to beside the first, as far as one request names them.
pub const ROWS_TOGETHER: usize = 31;
/// Seconds until a body is offered again to a queue that was full.
pub const QUEUE_FULL_SECONDS: u64 = 30;
/// Queues that one errand may name.
pub const ERRAND_QUEUES: usize = 256;
/// Age in seconds at which a device certificate is made anew: a week.
pub const CERTIFICATE_RENEWAL_SECONDS: u64 = 7 * 24 * 3600;
/// Seconds between a request for recovery and the return, unless other terms are set.
pub const GUARDIAN_DELAY_SECONDS: u64 = 48 * 3600;
/// Seconds between two looks at the lock of one's guardians.
pub const LOCK_LOOK_SECONDS: u64 = 3600;
/// Seconds between two looks whether a request for recovery still stands.
pub const RECOVERY_LOOK_SECONDS: u64 = 3600;
/// Age in seconds from which no relay takes a request for recovery: it is signed again.
pub const REQUEST_OLD_SECONDS: u64 = 2 * 3600;
/// Seconds until a lock that should be open is asked again.
pub const RECOVERY_AGAIN_SECONDS: u64 = 60;
/// Accounts whose shares are kept.
pub const SHARES: usize = 1_000;
/// Letters that one errand may name.
pub const ERRAND_LETTERS: usize = 512;
/// Longest name of a device in bytes.
pub const DEVICE_NAME_BYTES: usize = 64;
/// Bodies that may wait for the log of their sender.
pub const HELD_BODIES: usize = 256;
/// Rows read at once.
pub const PAGE: usize = 256;
/// Letters that may wait for one session.
pub const WAITING_LETTERS: usize = 10_000;
/// Seconds until keys that a relay did not have are asked for again.
pub const ASK_AGAIN_SECONDS: u64 = 60;
/// Seconds between two repairs of the sessions with a device.
pub const REPAIR_SECONDS: u64 = 3600;
/// Seconds after which a device gives itself new keys in a group: a week.
pub const GROUP_RENEW_SECONDS: u64 = 7 * 24 * 3600;
/// Within so many seconds a device tries again to give itself new keys, after another one's commit came first. All that
/// joined together are due together.
pub const GROUP_RENEW_AGAIN_SECONDS: u64 = 60;
/// Within so many seconds somebody removes a device that is gone, or takes up a wish to leave.
pub const GROUP_LOOK_SECONDS: u64 = 10;
/// Seconds between two rounds of questions for the logs of members.
pub const MEMBER_ROUND_SECONDS: u64 = 600;
/// Accounts whose logs one round asks for. In groups of so many other accounts a letter waits for all of them.
pub const MEMBER_ROUND: usize = 8;
/// Seconds for which a letter in a group begins no more questions for logs after the last ones.
pub const MEMBER_LETTER_SECONDS: u64 = 60;
/// Seconds after which an account looks again whether a group that is full has a place for a further device of it.
pub const GROUP_FULL_SECONDS: u64 = 3600;
/// Seconds after which a device that may write makes a new generation of a vault, at the earliest, where another one made
/// the commit that puts somebody out.
pub const VAULT_RENEW_SECONDS: u64 = 5;
/// Seconds after which a device that came into a vault asks for keys, if none came.
pub const VAULT_ASK_SECONDS: u64 = 10;
/// Seconds that whoever alone may write in a vault waits for what readers know, after it asked.
pub const VAULT_REMIND_SECONDS: u64 = 20;
/// Seconds until a device without keys of a vault asks again.
pub const VAULT_ASK_AGAIN_SECONDS: u64 = 3_600;
/// How far beyond the newest version that a device knows a version may be that it is told of.
pub const VAULT_AHEAD: u64 = 1 << 32;
/// Longest ratchet tree of a vault's group in the backup itself, in bytes: that of some twenty devices. A longer one lies
/// beside it.
pub const VAULT_WAY_BYTES: usize = 48 * 1024;
/// Longest one beside it, in bytes: more than any group of [`::groups::LEAVES`] has.
pub const VAULT_TREE_BYTES: usize = 31 * 1024 * 1024;
/// Bytes a second, on the average, that the trees of one vault beside the backup cost, at most.
pub const VAULT_TREE_RATE: u64 = 64;
/// Seconds after which a tree is stored again that the relay did not take.
pub const VAULT_TREE_AGAIN_SECONDS: u64 = 3_600;
/// Roots that are looked at together.
pub const VAULT_ROOTS: usize = 1_000;
/// So often the engine looks, once a second, before it asks what became of commits that the relay has.
pub const GROUP_BEHIND_TICKS: u64 = 30;
/// Seconds until a device that cannot follow a group asks again.
pub const GROUP_ASK_AGAIN_SECONDS: u64 = 60;
/// So often members are asked again about what does not open, each pause twice as long as the one before.
pub const GROUP_ASKS: u8 = 4;
/// Seconds until a device that wants to leave, and hears nothing, asks where the group is.
pub const GROUP_LEAVING_SECONDS: u64 = 24 * 3600;
/// Devices that one that cannot follow asks at once.
pub const GROUP_ASKED: usize = 16;
/// Bodies of groups that are held in all.
pub const GROUP_HELD_BODIES: usize = 4_096;
/// Invitations into one group that wait, each for a stay of its own.
pub const GROUP_INVITATIONS: usize = 8;
/// Invitations into one group that were used, and are known when they come again.
pub const GROUP_WELCOMES: usize = 64;
/// Longest word about a group between two devices, in bytes.
pub const GROUP_WORD_BYTES: usize = 56 * 1024;
/// Longest picture of a group in bytes.
pub const PICTURE_BYTES: usize = 256 * 1024;
/// Seconds until a picture that did not come is asked for again.
pub const PICTURE_AGAIN_SECONDS: u64 = 3600;
/// Devices that are asked for it at once.
pub const PICTURE_ASKED: usize = 4;
/// Seconds between two answers to one device.
pub const PICTURE_GIVEN_SECONDS: u64 = 60;
/// Letters of before that somebody who joins is sent, and takes, at most.
pub const SHARED_LETTERS: usize = 500;
/// Parts of such letters whose group is not here yet.
pub const SHARED_EARLY: usize = 256;
/// Those of one account.
pub const SHARED_EARLY_EACH: usize = 64;
/// People with whom one letter was shared, as far as that is noted.
pub const SHARES_OF_LETTER: usize = 1_000;
/// Seconds for which a relay keeps a blob.
pub const BLOB_KEPT_SECONDS: u64 = 30 * 24 * 3600;
/// Key packages kept at the relay.
pub const KEY_PACKAGES: u32 = 12;
/// Private halves of key packages on a device; with so many, the relay gets no more of them than every 30 days.
pub const KEY_PACKAGES_KEPT: usize = 256;
/// Bytes of key packages in one request, which leave room in a frame: those of `cnsa2` take more than one.
pub const KEY_PACKAGES_BYTES: usize = 128 * 1024;
/// Seconds after which all key packages are replaced: 30 days.
pub const KEY_PACKAGE_SECONDS: u64 = 30 * 24 * 3600;
/// Seconds for which the private half of a key package is kept: beyond those, whoever used it may be away before it hears
/// that this counts, and then a Welcome may lie at a relay, each for 30 days. `who_is_invited_late_comes_in` notices.
pub const KEY_PACKAGE_KEPT_SECONDS: u64 = 3 * KEY_PACKAGE_SECONDS;
/// What came back to us last in a group, so that it is known when it comes again.
pub const GROUP_ECHOES: usize = 64;
/// Tokens of epochs that are over, kept for a relay that was set back.
pub const GROUP_TOKENS: usize = 64;
/// Pairs with one contact: each device of both may begin one at the same time.
pub const PAIRS: usize = 64;
/// Longest tree of a pair that somebody begins who has no answer: that of a hundred devices.
pub const PAIR_TREE_BYTES: u64 = 1024 * 1024;
/// Pairs with somebody who has no answer.
pub const PAIRS_OF_STRANGER: usize = 4;
