//! Device certificates: who may issue them, how long they hold, what they bring to light.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    dead_code,
    reason = "test code; each test file uses a part of `people`"
)]

mod people;

use letterlock_keys::account_log::{
    Authority, Certificate, CertificateError, DeviceSecrets, MAX_CERTIFICATE_BYTES, Method, Reason,
    VerifiedLog,
};
use letterlock_keys::codec::{DecodeError, Writer};
use letterlock_keys::{DeviceId, Label, Timestamp, label};
use people::{BORN, DAY, HOUR, Person, device, later, recovery, renewed, root};

/// A certificate as docs/spec/account-log.md, section 8, writes it.
struct Form {
    version: u8,
    account: [u8; 32],
    device: DeviceId,
    issuer: DeviceId,
    device_list: [u8; 64],
    sequence: u64,
    hash: [u8; 64],
    issued: u64,
    expires: u64,
    label: Label,
}

impl Form {
    fn of(log: &VerifiedLog, issuer: &DeviceSecrets, device: &DeviceSecrets, issued: u64) -> Self {
        Self {
            version: 1,
            account: *log.account_id().as_bytes(),
            device: *device.device_id(),
            issuer: *issuer.device_id(),
            device_list: *log.device_list_hash(),
            sequence: log.head().sequence,
            hash: log.head().hash,
            issued: BORN + issued,
            expires: BORN + issued + 30 * DAY,
            label: label::DEVICE_CERTIFICATE,
        }
    }

    fn sign(&self, by: &DeviceSecrets) -> Vec<u8> {
        let mut content = Writer::new();
        content.u8(self.version);
        content.array(&self.account);
        content.array(self.device.as_bytes());
        content.array(self.issuer.as_bytes());
        content.array(&self.device_list);
        content.u64(self.sequence);
        content.array(&self.hash);
        content.u64(self.issued);
        content.u64(self.expires);
        let content = content.finish();
        let signature = by.signing().sign(self.label, &content).unwrap();
        let mut out = Writer::new();
        out.array(&content);
        out.bytes(signature.as_bytes());
        out.finish()
    }
}

fn error(bytes: &[u8], log: &VerifiedLog, now: Timestamp) -> CertificateError {
    Certificate::verify(bytes, log, now).err().unwrap()
}

/// An account of an old and a new device, a week later.
fn two() -> (Person, DeviceSecrets) {
    let mut person = Person::new();
    let laptop = device(3);
    person.add(&laptop, true, later(0));
    (person, laptop)
}

const WEEK: u64 = 7 * DAY;

#[test]
fn a_certificate_says_what_its_issuer_saw() {
    let (person, laptop) = two();
    let log = &person.log;
    let now = later(WEEK + 5);
    let certificate = Certificate::issue(log, &person.first, laptop.device_id(), now).unwrap();
    assert_eq!(certificate.account_id(), log.account_id());
    assert_eq!(certificate.device(), laptop.device_id());
    assert_eq!(certificate.issuer(), person.first.device_id());
    assert_eq!(certificate.device_list_hash(), log.device_list_hash());
    assert_eq!(certificate.pin(), log.head());
    assert_eq!(certificate.issued(), later(WEEK));
    assert_eq!(certificate.expires(), later(WEEK + 30 * DAY));
    assert!(certificate.bytes().len() <= MAX_CERTIFICATE_BYTES);
    let again = Certificate::verify(certificate.bytes(), log, now).unwrap();
    assert_eq!(again, certificate);
    // The first content bytes are those of the specification, whoever signs.
    let form = Form::of(log, &person.first, &laptop, WEEK).sign(&person.first);
    assert_eq!(form[..217], certificate.bytes()[..217]);
    assert!(Certificate::verify(&form, log, now).is_ok());
}

#[test]
fn a_device_does_not_certify_itself() {
    let (person, laptop) = two();
    let (log, now) = (&person.log, later(WEEK));
    for own in [&person.first, &laptop] {
        let issued = Certificate::issue(log, own, own.device_id(), now).err();
        assert_eq!(issued, Some(CertificateError::NotIssuer));
        let forged = Form::of(log, own, own, WEEK).sign(own);
        assert_eq!(error(&forged, log, now), CertificateError::NotIssuer);
    }
    // Each by the other.
    Certificate::issue(log, &person.first, laptop.device_id(), now).unwrap();
    Certificate::issue(log, &laptop, person.first.device_id(), now).unwrap();
}

#[test]
fn a_device_alone_certifies_itself() {
    let (person, laptop) = two();
    let alone = Person::new();
    let issue = |log: &VerifiedLog, by: &DeviceSecrets, device: &DeviceSecrets, at| {
        Certificate::issue(log, by, device.device_id(), later(at)).map(|_| ())
    };
    assert_eq!(issue(&alone.log, &alone.first, &alone.first, WEEK), Ok(()));
    // As long as the other is young it certifies nobody.
    let log = &person.log;
    assert_eq!(issue(log, &person.first, &person.first, HOUR), Ok(()));
    assert_eq!(issue(log, &person.first, &laptop, HOUR), Ok(()));
    let refused = Err(CertificateError::NotIssuer);
    assert_eq!(issue(log, &laptop, &person.first, HOUR), refused);
    assert_eq!(issue(log, &laptop, &laptop, HOUR), refused);
    // A device that is no admin never does.
    let mut person = Person::new();
    let tablet = device(4);
    person.add(&tablet, false, later(0));
    let log = &person.log;
    assert_eq!(issue(log, &tablet, &person.first, WEEK), refused);
    assert_eq!(issue(log, &tablet, &tablet, WEEK), refused);
    assert_eq!(issue(log, &person.first, &tablet, WEEK), Ok(()));
    assert_eq!(issue(log, &person.first, &person.first, WEEK), Ok(()));
}

#[test]
fn a_device_that_comes_later_does_not_undo_a_certificate() {
    let mut person = Person::new();
    let own = *person.first.device_id();
    let alone = Certificate::issue(&person.log, &person.first, &own, later(0)).unwrap();
    let sheet = recovery(Method::Sheet, 5);
    person.set_sheet(&sheet, later(0));
    let by = Authority::Recovery(&sheet);
    let log = person.log.add_device(by, &device(3), true, later(0));
    let log = log.unwrap();
    Certificate::verify(alone.bytes(), &log, later(HOUR)).unwrap();
    // A new one has to know it.
    let refused = Certificate::issue(&log, &person.first, &own, later(0)).err();
    assert_eq!(refused, Some(CertificateError::NotIssuer));
}

#[test]
fn certificates_last_thirty_days() {
    let (person, laptop) = two();
    let log = &person.log;
    let certificate =
        Certificate::issue(log, &person.first, laptop.device_id(), later(WEEK)).unwrap();
    let end = WEEK + 30 * DAY;
    let verify = |at| Certificate::verify(certificate.bytes(), log, later(at)).map(|_| ());
    assert_eq!(verify(end - 1), Ok(()));
    assert_eq!(
        verify(end),
        Err(CertificateError::Expired { ago_seconds: 0 })
    );
    assert_eq!(
        verify(end + 9),
        Err(CertificateError::Expired { ago_seconds: 9 })
    );
    assert_eq!(verify(WEEK - 2 * HOUR), Ok(()));
    assert_eq!(
        verify(WEEK - 2 * HOUR - 1),
        Err(CertificateError::FromTheFuture {
            ahead_seconds: 7201
        })
    );
    assert!(!certificate.is_due(later(WEEK + 20 * DAY - 1)));
    assert!(certificate.is_due(later(WEEK + 20 * DAY)));
    for (issued, expires) in [(0, HOUR), (0, 31 * DAY), (1, 1 + 30 * DAY)] {
        let mut form = Form::of(log, &person.first, &laptop, WEEK + issued);
        form.expires = BORN + WEEK + expires;
        assert_eq!(
            error(&form.sign(&person.first), log, later(WEEK + HOUR)),
            CertificateError::Malformed(DecodeError::Invalid),
            "{issued} {expires}"
        );
    }
}

#[test]
fn a_certificate_shows_a_hidden_entry() {
    let (mut person, laptop) = two();
    let shown = person.log.clone();
    person.add(&device(4), true, later(DAY));
    let certificate =
        Certificate::issue(&person.log, &person.first, laptop.device_id(), later(WEEK)).unwrap();
    assert_eq!(
        error(certificate.bytes(), &shown, later(WEEK)),
        CertificateError::LogBehind { got: 1, pinned: 2 }
    );
    Certificate::verify(certificate.bytes(), &person.log, later(WEEK)).unwrap();
}

#[test]
fn a_certificate_shows_a_fork() {
    let (person, laptop) = two();
    let add = |seed| {
        let by = person.authority();
        let log = person.log.add_device(by, &device(seed), true, later(DAY));
        log.unwrap()
    };
    let (ours, theirs) = (add(4), add(5));
    let certificate =
        Certificate::issue(&theirs, &person.first, laptop.device_id(), later(WEEK)).unwrap();
    let forked = CertificateError::Forked { sequence: 2 };
    assert_eq!(error(certificate.bytes(), &ours, later(WEEK)), forked);
    let mut form = Form::of(&ours, &person.first, &laptop, WEEK);
    form.device_list[0] ^= 1;
    assert_eq!(error(&form.sign(&person.first), &ours, later(WEEK)), forked);
    // Another entry with the same devices.
    let rotate = |seed| {
        let log = person
            .log
            .rotate_root(&person.root, &root(seed), later(DAY));
        log.unwrap()
    };
    let (same, devices) = (rotate(6), rotate(7));
    let other =
        Certificate::issue(&devices, &person.first, laptop.device_id(), later(WEEK)).unwrap();
    assert_eq!(error(other.bytes(), &same, later(WEEK)), forked);
    // Nobody cries fork who did not sign it.
    let mut cry = certificate.bytes().to_vec();
    *cry.last_mut().unwrap() ^= 1;
    assert_eq!(
        error(&cry, &ours, later(WEEK)),
        CertificateError::BadSignature
    );
}

#[test]
fn certificates_of_strangers_are_refused() {
    let (person, laptop) = two();
    let (log, now) = (&person.log, later(WEEK));
    let form = || Form::of(log, &person.first, &laptop, WEEK);
    // In another's name.
    assert_eq!(
        error(&form().sign(&laptop), log, now),
        CertificateError::BadSignature
    );
    // For another purpose.
    let mut entry = form();
    entry.label = label::LOG_ENTRY;
    assert_eq!(
        error(&entry.sign(&person.first), log, now),
        CertificateError::BadSignature
    );
    // By somebody who never was in the account, and for somebody who was not.
    let stranger = device(9);
    let by = Form::of(log, &stranger, &laptop, WEEK).sign(&stranger);
    assert_eq!(error(&by, log, now), CertificateError::NotInForce);
    let of = Form::of(log, &person.first, &stranger, WEEK).sign(&person.first);
    assert_eq!(error(&of, log, now), CertificateError::NotInForce);
    // Of another account.
    let mut other = form();
    other.account[0] ^= 1;
    assert_eq!(
        error(&other.sign(&person.first), log, now),
        CertificateError::OtherAccount
    );
    let mut version = form();
    version.version = 2;
    assert_eq!(
        error(&version.sign(&person.first), log, now),
        CertificateError::Malformed(DecodeError::Invalid)
    );
}

#[test]
fn a_revocation_ends_certificates() {
    let (person, laptop) = two();
    let now = later(WEEK);
    let of_laptop =
        Certificate::issue(&person.log, &person.first, laptop.device_id(), now).unwrap();
    let by_laptop =
        Certificate::issue(&person.log, &laptop, person.first.device_id(), now).unwrap();
    let log = person
        .log
        .revoke(person.authority(), laptop.device_id(), Reason::Stolen, now)
        .unwrap();
    for certificate in [of_laptop, by_laptop] {
        assert_eq!(
            error(certificate.bytes(), &log, now),
            CertificateError::NotInForce
        );
    }
}

#[test]
fn new_keys_need_a_new_certificate() {
    let (person, laptop) = two();
    let now = later(WEEK);
    let old = Certificate::issue(&person.log, &person.first, laptop.device_id(), now).unwrap();
    let new = renewed(&laptop, 4);
    let log = person.log.rotate_device(&laptop, &new, now).unwrap();
    assert_eq!(error(old.bytes(), &log, now), CertificateError::NotInForce);
    Certificate::issue(&log, &person.first, laptop.device_id(), now).unwrap();
    // An issuer's new keys sign nothing for the time before them.
    let early = Form::of(&person.log, &new, &person.first, WEEK).sign(&new);
    assert_eq!(error(&early, &log, now), CertificateError::NotInForce);
}

#[test]
fn cut_and_flipped_certificates_are_refused() {
    let (person, laptop) = two();
    let (log, now) = (&person.log, later(WEEK));
    let certificate = Certificate::issue(log, &person.first, laptop.device_id(), now).unwrap();
    let bytes = certificate.bytes();
    for length in 0..bytes.len() {
        assert_eq!(
            error(&bytes[..length], log, now),
            CertificateError::Malformed(DecodeError::Short),
            "{length} bytes"
        );
    }
    assert_eq!(
        error(&[bytes, &[0]].concat(), log, now),
        CertificateError::Malformed(DecodeError::Trailing)
    );
    let mut flipped = bytes.to_vec();
    for bit in 0..bytes.len() * 8 {
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(
            Certificate::verify(&flipped, log, now).is_err(),
            "bit {bit}"
        );
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}
