//! Blobs: resumable, ranged, opened by tokens, bounded, gone when they should be.

use crate::support::{Answer, House, Outgoing, bearer, pieces, rng, whole};
use data_encoding::BASE64URL_NOPAD;
use hyper::{Method, StatusCode};
use keys::BlobId;
use rand_core::Rng as _;

/// A blob as its owner knows it.
struct Blob {
    id: BlobId,
    write: [u8; 32],
    read: [u8; 32],
    content: Vec<u8>,
    lasting: bool,
}

impl Blob {
    fn draw(seed: u64, length: usize) -> Self {
        let mut rng = rng(seed);
        let mut blob = Self {
            id: BlobId::random(&mut rng),
            write: [0; 32],
            read: [0; 32],
            content: vec![0; length],
            lasting: false,
        };
        rng.fill_bytes(&mut blob.write);
        rng.fill_bytes(&mut blob.read);
        rng.fill_bytes(&mut blob.content);
        blob
    }

    async fn ask(
        &self,
        house: &House,
        method: Method,
        query: &str,
        headers: &[(&str, String)],
        body: Outgoing,
    ) -> Option<Answer> {
        let path = format!("/v1/blobs/{}{query}", self.id);
        house.try_http(method, &path, headers, body).await
    }

    async fn try_put(&self, house: &House, offset: usize, body: Outgoing) -> Option<Answer> {
        let read_hash = BASE64URL_NOPAD.encode(&keys::sha256(&[&self.read]));
        let mut headers = vec![bearer(&self.write), ("read-token-hash", read_hash)];
        headers.extend(self.lasting.then(|| ("lasting", "?1".to_owned())));
        let query = format!("?offset={offset}");
        self.ask(house, Method::PUT, &query, &headers, body).await
    }

    async fn put(&self, house: &House, offset: usize, body: Outgoing) -> Answer {
        self.try_put(house, offset, body).await.unwrap()
    }

    async fn upload(&self, house: &House) {
        let put = self.put(house, 0, whole(self.content.clone())).await;
        assert_eq!(put.status, StatusCode::NO_CONTENT);
        let complete = self.complete(house, self.content.len()).await;
        assert_eq!(complete.status, StatusCode::NO_CONTENT);
        assert_eq!(complete.header("upload-complete"), "?1");
    }

    async fn complete(&self, house: &House, length: usize) -> Answer {
        let query = format!("?length={length}");
        let headers = [bearer(&self.write)];
        let asked = self.ask(house, Method::POST, &query, &headers, whole(""));
        asked.await.unwrap()
    }

    async fn head(&self, house: &House, token: &[u8; 32]) -> Answer {
        let headers = [bearer(token)];
        let asked = self.ask(house, Method::HEAD, "", &headers, whole(""));
        asked.await.unwrap()
    }

    async fn offset(&self, house: &House) -> usize {
        let answer = self.head(house, &self.write).await;
        assert_eq!(answer.status, StatusCode::OK);
        answer.header("upload-offset").parse().unwrap()
    }

    async fn get(&self, house: &House, range: Option<&str>) -> Answer {
        let mut headers = vec![bearer(&self.read)];
        headers.extend(range.map(|range| ("range", range.to_owned())));
        let asked = self.ask(house, Method::GET, "", &headers, whole(""));
        asked.await.unwrap()
    }

    async fn delete(&self, house: &House, token: &[u8; 32]) -> StatusCode {
        let headers = [bearer(token)];
        let asked = self.ask(house, Method::DELETE, "", &headers, whole(""));
        asked.await.unwrap().status
    }
}

#[tokio::test]
async fn a_blob_comes_back_whole_and_in_ranges() {
    let (house, blob) = (House::open().await, Blob::draw(1, 3_000_000));
    blob.upload(&house).await;
    let answer = blob.get(&house, None).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("content-length"), "3000000");
    assert!(answer.body == blob.content);
    for (range, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=100-2000099", 100, 2_000_100),
        ("bytes=2999999-", 2_999_999, 3_000_000),
        ("bytes=-5", 2_999_995, 3_000_000),
        ("bytes=2999000-9999999", 2_999_000, 3_000_000),
    ] {
        let answer = blob.get(&house, Some(range)).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{range}");
        let shown = format!("bytes {from}-{}/3000000", to - 1);
        assert_eq!(answer.header("content-range"), shown);
        assert!(answer.body == blob.content[from..to], "{range}");
    }
    let beyond = blob.get(&house, Some("bytes=3000000-")).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(beyond.header("content-range"), "bytes */3000000");
}

#[tokio::test]
async fn a_broken_upload_goes_on_where_it_stopped() {
    let (mut house, blob) = (House::open().await, Blob::draw(2, 5_000_000));
    let first = blob.content[..1_500_000].to_vec();
    let broken = blob.try_put(&house, 0, pieces(vec![first], true)).await;
    assert!(broken.is_none_or(|answer| answer.status == StatusCode::BAD_REQUEST));
    let mut offset = offset_once_settled(&blob, &house).await;
    assert_eq!(offset, 1_500_000, "what arrived is kept");
    let mut restarts = 0;
    while offset < blob.content.len() {
        let end = (offset + 1_300_000).min(blob.content.len());
        let piece = blob.content[offset..end].to_vec();
        let put = blob.put(&house, offset, pieces(vec![piece], false)).await;
        assert_eq!(put.status, StatusCode::NO_CONTENT);
        assert_eq!(put.header("upload-offset"), end.to_string());
        assert_eq!(put.header("upload-complete"), "?0");
        house.stop().await;
        house.start().await;
        restarts += 1;
        offset = blob.offset(&house).await;
        assert_eq!(offset, end);
    }
    assert_eq!(restarts, 3);
    assert_eq!(
        blob.get(&house, None).await.status,
        StatusCode::NOT_FOUND,
        "not before it is complete"
    );
    assert_eq!(
        blob.complete(&house, 5_000_000).await.status,
        StatusCode::NO_CONTENT
    );
    assert!(blob.get(&house, None).await.body == blob.content);
}

/// The offset after the relay has noticed that an upload broke off.
async fn offset_once_settled(blob: &Blob, house: &House) -> usize {
    loop {
        let answer = blob.put(house, usize::MAX, whole("")).await;
        // It waits for its turn, so the broken one has ended; it is in conflict, so it writes nothing.
        match answer.status {
            StatusCode::CONFLICT => return answer.header("upload-offset").parse().unwrap(),
            StatusCode::NOT_FOUND => {}
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn an_upload_may_write_over_but_never_leave_a_gap() {
    let (house, blob) = (House::open().await, Blob::draw(3, 4000));
    let begun = blob.put(&house, 0, whole(vec![0; 3000])).await;
    assert_eq!(begun.header("upload-offset"), "3000");
    let gap = blob.put(&house, 3001, whole("x")).await;
    assert_eq!(gap.status, StatusCode::CONFLICT);
    assert_eq!(gap.header("upload-offset"), "3000");
    let over = blob.put(&house, 0, whole(blob.content.clone())).await;
    assert_eq!(over.status, StatusCode::NO_CONTENT);
    assert_eq!(over.header("upload-offset"), "4000");
    let truncated = blob.complete(&house, 3999).await;
    assert_eq!(truncated.status, StatusCode::CONFLICT);
    assert_eq!(truncated.header("upload-offset"), "4000");
    for _ in 0..2 {
        let complete = blob.complete(&house, 4000).await;
        assert_eq!(complete.status, StatusCode::NO_CONTENT);
    }
    let late = blob.put(&house, 0, whole(vec![0; 10])).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert_eq!(late.header("upload-complete"), "?1");
    assert!(blob.get(&house, None).await.body == blob.content);
}

#[tokio::test]
async fn a_blob_is_opened_by_its_token_alone() {
    let (house, blob) = (House::open().await, Blob::draw(4, 1000));
    blob.upload(&house).await;
    let wrong = [9; 32];
    let forged = Blob {
        write: wrong,
        read: wrong,
        content: vec![1; 10],
        ..Blob::draw(4, 0)
    };
    assert_eq!(forged.id, blob.id);
    let forbidden = StatusCode::FORBIDDEN;
    assert_eq!(forged.get(&house, None).await.status, forbidden);
    assert_eq!(forged.put(&house, 0, whole("x")).await.status, forbidden);
    assert_eq!(forged.complete(&house, 1000).await.status, forbidden);
    assert_eq!(forged.head(&house, &wrong).await.status, forbidden);
    assert_eq!(blob.delete(&house, &wrong).await, forbidden);
    // Reading is not writing, and writing is not reading.
    assert_eq!(blob.delete(&house, &blob.read).await, forbidden);
    let swapped = Blob {
        write: blob.read,
        read: blob.write,
        ..Blob::draw(4, 0)
    };
    assert_eq!(swapped.get(&house, None).await.status, forbidden);
    assert_eq!(swapped.put(&house, 0, whole("x")).await.status, forbidden);
    for token in [&blob.read, &blob.write] {
        assert_eq!(blob.head(&house, token).await.status, StatusCode::OK);
    }
    let path = format!("/v1/blobs/{}", blob.id);
    let without = house.get(&path).await;
    assert_eq!(without.status, StatusCode::UNAUTHORIZED);
    assert_eq!(without.header("www-authenticate"), "Bearer");
    assert!(blob.get(&house, None).await.body == blob.content);
}

#[tokio::test]
async fn a_blob_has_a_largest_size() {
    let house = House::with(|config| config.storage.blob_bytes = 10_000).await;
    let blob = Blob::draw(5, 10_001);
    let announced = blob.put(&house, 0, whole(blob.content.clone())).await;
    assert_eq!(announced.status, StatusCode::PAYLOAD_TOO_LARGE);
    let chunks = blob.content.chunks(5_000).map(<[u8]>::to_vec).collect();
    let streamed = blob.put(&house, 0, pieces(chunks, false)).await;
    assert_eq!(streamed.status, StatusCode::PAYLOAD_TOO_LARGE);
    let offset = blob.offset(&house).await;
    assert!(offset <= 10_000, "{offset} bytes are stored");
    let last = blob.content[offset..10_000].to_vec();
    let fits = blob.put(&house, offset, whole(last)).await;
    assert_eq!(fits.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn all_blobs_together_have_a_largest_size() {
    let mut house = House::with(|config| config.storage.all_blob_bytes = 10_000).await;
    let (first, second) = (Blob::draw(6, 7_000), Blob::draw(7, 4_000));
    first.upload(&house).await;
    for _ in 0..2 {
        let full = second.put(&house, 0, whole(second.content.clone())).await;
        assert_eq!(full.status, StatusCode::INSUFFICIENT_STORAGE);
        assert!(full.header("retry-after").parse::<u64>().unwrap() > 0);
        house.stop().await;
        house.start().await;
    }
    let deleted = first.delete(&house, &first.write).await;
    assert_eq!(deleted, StatusCode::NO_CONTENT);
    second.upload(&house).await;
}

#[tokio::test]
async fn there_are_only_so_many_blobs() {
    let house = House::with(|config| config.storage.blobs = 1).await;
    let (first, second) = (Blob::draw(8, 0), Blob::draw(9, 0));
    first.upload(&house).await;
    let full = second.put(&house, 0, whole("")).await;
    assert_eq!(full.status, StatusCode::INSUFFICIENT_STORAGE);
    assert!(full.header("retry-after").parse::<u64>().unwrap() > 0);
    first.delete(&house, &first.write).await;
    second.upload(&house).await;
    assert_eq!(second.get(&house, None).await.body, b"");
}

#[tokio::test]
async fn a_deleted_blob_is_gone_with_its_file() {
    let (house, blob) = (House::open().await, Blob::draw(10, 1000));
    let missing = StatusCode::NOT_FOUND;
    assert_eq!(blob.get(&house, None).await.status, missing);
    assert_eq!(blob.head(&house, &blob.write).await.status, missing);
    assert_eq!(blob.put(&house, 1, whole("x")).await.status, missing);
    blob.upload(&house).await;
    assert_eq!(files(&house), 1);
    for _ in 0..2 {
        let deleted = blob.delete(&house, &blob.write).await;
        assert_eq!(deleted, StatusCode::NO_CONTENT);
    }
    assert_eq!(files(&house), 0);
    assert_eq!(blob.get(&house, None).await.status, missing);
    let nonsense = house.get("/v1/blobs/not-an-id").await;
    assert_eq!(nonsense.status, missing);
}

/// Sets the hour of a blob back; the house must be stopped.
fn age(house: &House, blob: &Blob, days: u64) {
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let (blob, seconds) = (blob.id.as_bytes(), days.strict_mul(24 * 3600));
    let set = "UPDATE blobs SET hour = hour - ?2 WHERE blob = ?1";
    sql.execute(set, (blob, seconds)).unwrap();
}

fn hour(house: &House, blob: &Blob) -> u64 {
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    let hour = "SELECT hour FROM blobs WHERE blob = ?1";
    sql.query_row(hour, [blob.id.as_bytes()], |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn a_lasting_blob_stays_as_long_as_it_is_used() {
    let mut house = House::open().await;
    let [mut used, mut unused, mut begun, fleeting] =
        [31, 32, 33, 34].map(|seed| Blob::draw(seed, 100));
    for blob in [&mut used, &mut unused, &mut begun] {
        blob.lasting = true;
    }
    for blob in [&used, &unused, &fleeting] {
        blob.upload(&house).await;
    }
    begun.put(&house, 0, whole("x")).await;
    let made = hour(&house, &used);
    house.stop().await;
    for (blob, days) in [(&used, 399), (&unused, 401), (&begun, 3), (&fleeting, 31)] {
        age(&house, blob, days);
    }
    house.start().await;
    while files(&house) > 1 {
        tokio::task::yield_now().await;
    }
    // A wrong token is no use.
    let asked = used.head(&house, &[0; 32]).await;
    assert_eq!(asked.status, StatusCode::FORBIDDEN);
    assert!(hour(&house, &used) < made);
    assert_eq!(
        used.get(&house, Some("bytes=0-9")).await.body,
        used.content[..10]
    );
    assert!(hour(&house, &used) >= made);
    // Once a day is enough.
    house.stop().await;
    let (half, day) = (12 * 3600, 25 * 3600);
    let sql = rusqlite::Connection::open(house.database()).unwrap();
    for (seconds, noted) in [(half, false), (day, true)] {
        let set = "UPDATE blobs SET hour = ?1";
        sql.execute(set, [made.strict_sub(seconds)]).unwrap();
        house.start().await;
        let asked = used.head(&house, &used.read).await;
        assert_eq!(asked.status, StatusCode::OK);
        assert_eq!(hour(&house, &used) >= made, noted);
        house.stop().await;
    }
}

#[tokio::test]
async fn a_blob_is_gone_at_the_time_that_its_owner_named() {
    let mut house = House::open().await;
    let (over, young) = (Blob::draw(41, 100), Blob::draw(42, 100));
    for (blob, until) in [(&over, 1_u64), (&young, u64::MAX)] {
        let put = blob.put(&house, 0, whole(blob.content.clone())).await;
        assert_eq!(put.status, StatusCode::NO_CONTENT);
        let query = format!("?length=100&until={until}");
        let headers = [bearer(&blob.write)];
        let asked = blob.ask(&house, Method::POST, &query, &headers, whole(""));
        assert_eq!(asked.await.unwrap().status, StatusCode::NO_CONTENT);
    }
    // Before any sweep: nobody gets it.
    assert_eq!(over.get(&house, None).await.status, StatusCode::NOT_FOUND);
    let asked = over.head(&house, &over.write).await;
    assert_eq!(asked.status, StatusCode::NOT_FOUND);
    assert_eq!(young.get(&house, None).await.body, young.content);
    house.stop().await;
    house.start().await;
    while files(&house) > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(young.get(&house, None).await.body, young.content);
}

fn files(house: &House) -> usize {
    let folders = std::fs::read_dir(house.data().join("blobs")).unwrap();
    folders
        .map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap().count())
        .sum()
}

#[tokio::test]
async fn expired_blobs_are_deleted() {
    let mut house = House::open().await;
    let blobs = [11, 12, 13, 14].map(|seed| Blob::draw(seed, 100));
    let [old, unfinished, young, begun] = &blobs;
    old.upload(&house).await;
    young.upload(&house).await;
    unfinished.put(&house, 0, whole("x")).await;
    begun.put(&house, 0, whole("x")).await;
    house.stop().await;
    for (blob, days) in [(old, 31), (unfinished, 3), (young, 29), (begun, 1)] {
        let sql = rusqlite::Connection::open(house.database()).unwrap();
        let (blob, seconds) = (blob.id.as_bytes(), days * 24 * 3600);
        sql.execute(
            "UPDATE blobs SET hour = hour - ?2 WHERE blob = ?1",
            (blob, seconds),
        )
        .unwrap();
    }
    house.start().await;
    while files(&house) > 2 {
        tokio::task::yield_now().await;
    }
    for blob in [old, unfinished] {
        while blob.head(&house, &blob.write).await.status != StatusCode::NOT_FOUND {}
    }
    for blob in [young, begun] {
        assert_eq!(blob.head(&house, &blob.write).await.status, StatusCode::OK);
    }
}
