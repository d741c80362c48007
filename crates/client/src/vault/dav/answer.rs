//! Answers of WebDAV.

use super::request::{DAV, PropertyName, Wanted};
use crate::limits;
use crate::vault::mount::{About, Kind};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// All properties that are answered.
const PROPERTIES: [&str; 10] = [
    "resourcetype",
    "displayname",
    "getcontentlength",
    "getlastmodified",
    "creationdate",
    "getetag",
    "supportedlock",
    "lockdiscovery",
    "quota-available-bytes",
    "quota-used-bytes",
];

/// The body of an answer.
pub(super) enum Body {
    Whole(Bytes),
    /// So many bytes are said to come, and none do.
    Empty(u64),
    Pieces(mpsc::Receiver<Bytes>, u64),
}

impl Body {
    pub(super) fn empty_of(length: u64) -> Self {
        Self::Empty(length)
    }

    pub(super) fn pieces(pieces: mpsc::Receiver<Bytes>, length: u64) -> Self {
        Self::Pieces(pieces, length)
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match &mut *self {
            Self::Whole(bytes) if !bytes.is_empty() => {
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes)))))
            }
            Self::Pieces(pieces, left) if *left > 0 => match pieces.poll_recv(cx) {
                Poll::Pending => Poll::Pending,
                // It cannot be read: the answer is cut off, so that nobody takes it for whole.
                Poll::Ready(None) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
                Poll::Ready(Some(piece)) => {
                    *left = left.saturating_sub(piece.len() as u64);
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
            },
            _ => Poll::Ready(None),
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Whole(bytes) => bytes.len() as u64,
            Self::Empty(length) => *length,
            Self::Pieces(_, left) => *left,
        })
    }
}

fn with(status: StatusCode, body: Body, headers: &[(HeaderName, &str)]) -> Response<Body> {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers_mut().insert(name.clone(), value);
        }
    }
    answer
}

pub(super) fn empty(status: StatusCode) -> Response<Body> {
    with(status, Body::Whole(Bytes::new()), &[])
}

pub(super) fn options() -> Response<Body> {
    let all =
        "OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, MOVE, COPY, PROPFIND, PROPPATCH, LOCK, UNLOCK";
    let headers = [
        (HeaderName::from_static("dav"), "1, 2"),
        (HeaderName::from_static("ms-author-via"), "DAV"),
        (header::ALLOW, all),
    ];
    with(StatusCode::OK, Body::Whole(Bytes::new()), &headers)
}

/// A file, or a range of it.
pub(super) fn file(about: &About, range: Option<(u64, u64)>, body: Body) -> Response<Body> {
    let (etag, date) = (etag(about), date(about.modified.0));
    let mut headers = vec![
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::ACCEPT_RANGES, "bytes"),
        (header::ETAG, etag.as_str()),
        (header::LAST_MODIFIED, date.as_str()),
        // What somebody put into a vault is no page of this machine.
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "sandbox; default-src 'none'",
        ),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let shown = range.map(|(start, length)| {
        let last = start.saturating_add(length).saturating_sub(1);
        format!("bytes {start}-{last}/{}", about.size)
    });
    let status = match &shown {
        Some(shown) => {
            headers.push((header::CONTENT_RANGE, shown));
            StatusCode::PARTIAL_CONTENT
        }
        None => StatusCode::OK,
    };
    with(status, body, &headers)
}

fn etag(about: &About) -> String {
    let (seconds, nanoseconds) = about.modified;
    format!(
        "\"{:x}-{:x}-{seconds:x}.{nanoseconds:x}\"",
        about.number, about.size
    )
}

fn xml(status: StatusCode, text: &str, more: &[(HeaderName, &str)]) -> Response<Body> {
    let text = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n{text}");
    let mut headers = vec![(header::CONTENT_TYPE, "application/xml; charset=utf-8")];
    headers.extend(more.iter().cloned());
    with(status, Body::Whole(text.into()), &headers)
}

pub(super) fn multistatus(answers: Vec<String>) -> Response<Body> {
    let answers = answers.concat();
    let text = format!("<D:multistatus xmlns:D=\"DAV:\">{answers}</D:multistatus>");
    xml(StatusCode::MULTI_STATUS, &text, &[])
}

/// Text in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// What is asked of one path.
pub(super) struct Properties<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) room: (u64, u64),
}

impl Properties<'_> {
    /// `response` of RFC 4918, section 14.24.
    pub(super) fn of(&self, path: &str, name: &[u8], about: &About, lock: Option<&str>) -> String {
        let (mut known, mut unknown) = (String::new(), String::new());
        let all = || {
            let names = PROPERTIES.iter();
            names.map(|name| PropertyName {
                namespace: DAV.to_owned(),
                name: (*name).to_owned(),
            })
        };
        let names: Vec<PropertyName> = match self.wanted {
            Wanted::These(names) => names.clone(),
            Wanted::All | Wanted::Names => all().collect(),
        };
        for wanted in names {
            let value = (wanted.namespace == DAV)
                .then(|| self.value(&wanted.name, name, about, lock))
                .flatten();
            let tag = escaped(&wanted.name);
            let value = match (value, self.wanted) {
                (Some(_), Wanted::Names) => Some(String::new()),
                (value, _) => value,
            };
            match value {
                Some(value) => {
                    let _ = write!(known, "<D:{tag}>{value}</D:{tag}>");
                }
                None if matches!(self.wanted, Wanted::These(_)) => {
                    let space = escaped(&wanted.namespace);
                    let _ = write!(unknown, "<{tag} xmlns=\"{space}\"/>");
                }
                None => {}
            }
        }
        let mut answer = format!("<D:response><D:href>{path}</D:href>");
        answer.push_str(&status(&known, "200 OK"));
        if !unknown.is_empty() {
            answer.push_str(&status(&unknown, "404 Not Found"));
        }
        answer.push_str("</D:response>");
        answer
    }

    fn value(
        &self,
        wanted: &str,
        name: &[u8],
        about: &About,
        lock: Option<&str>,
    ) -> Option<String> {
        let file = about.kind == Kind::File;
        Some(match wanted {
            "resourcetype" if file => String::new(),
            "resourcetype" => "<D:collection/>".to_owned(),
            "displayname" => escaped(&String::from_utf8_lossy(name)),
            "getcontentlength" if file => about.size.to_string(),
            "getlastmodified" => date(about.modified.0),
            "creationdate" => {
                let [year, month, day, hour, minute, second, _] = civil(about.modified.0);
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
            }
            "getetag" if file => escaped(&etag(about)),
            "supportedlock" => {
                "<D:lockentry><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/>\
                                </D:locktype></D:lockentry>"
                    .to_owned()
            }
            "lockdiscovery" => lock.map(active).unwrap_or_default(),
            "quota-available-bytes" if !file => self.room.1.to_string(),
            "quota-used-bytes" if !file => self.room.0.saturating_sub(self.room.1).to_string(),
            _ => return None,
        })
    }
}

fn status(properties: &str, status: &str) -> String {
    format!(
        "<D:propstat><D:prop>{properties}</D:prop><D:status>HTTP/1.1 {status}</D:status></D:propstat>"
    )
}

/// What came of setting properties: times are kept, and what Windows sets besides is taken and means nothing.
pub(super) fn was_set<'a>(path: &str, names: impl Iterator<Item = &'a PropertyName>) -> String {
    let (mut done, mut refused) = (String::new(), String::new());
    for name in names {
        let to = match name.is_modified() || name.is_windows() {
            true => &mut done,
            false => &mut refused,
        };
        let (space, name) = (escaped(&name.namespace), escaped(&name.name));
        let _ = write!(to, "<{name} xmlns=\"{space}\"/>");
    }
    let mut answer = format!("<D:response><D:href>{path}</D:href>");
    for (names, outcome) in [(done, "200 OK"), (refused, "403 Forbidden")] {
        if !names.is_empty() {
            answer.push_str(&status(&names, outcome));
        }
    }
    answer.push_str("</D:response>");
    answer
}

fn active(token: &str) -> String {
    let seconds = limits::DAV_LOCK.as_secs();
    format!(
        "<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:exclusive/></D:lockscope>\
         <D:depth>infinity</D:depth><D:timeout>Second-{seconds}</D:timeout>\
         <D:locktoken><D:href>{token}</D:href></D:locktoken></D:activelock>"
    )
}

pub(super) fn locked(status: StatusCode, token: &str) -> Response<Body> {
    let active = active(token);
    let text =
        format!("<D:prop xmlns:D=\"DAV:\"><D:lockdiscovery>{active}</D:lockdiscovery></D:prop>");
    let shown = format!("<{token}>");
    let name = HeaderName::from_static("lock-token");
    xml(status, &text, &[(name, shown.as_str())])
}

/// Year, month, day, hour, minute, second in UTC, and the day of the week from Monday.
fn civil(seconds: i64) -> [i64; 7] {
    let days = seconds.div_euclid(86_400);
    let rest = seconds.rem_euclid(86_400);
    // Years begin in March here, so that the leap day is the last one of a year of 400.
    let shifted = days.saturating_add(719_468);
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let leaps = (day / 1_460)
        .saturating_sub(day / 36_524)
        .saturating_add(day / 146_096);
    let year = day.saturating_sub(leaps) / 365;
    let before = year
        .saturating_mul(365)
        .saturating_add(year / 4)
        .saturating_sub(year / 100);
    let of_year = day.saturating_sub(before);
    let part = of_year.saturating_mul(5).saturating_add(2) / 153;
    let date = of_year
        .saturating_sub(part.saturating_mul(153).saturating_add(2) / 5)
        .saturating_add(1);
    let month = match part < 10 {
        true => part.saturating_add(3),
        false => part.saturating_sub(9),
    };
    let year = era
        .saturating_mul(400)
        .saturating_add(year)
        .saturating_add(i64::from(month <= 2));
    [
        year,
        month,
        date,
        rest / 3_600,
        rest % 3_600 / 60,
        rest % 60,
        days.saturating_add(3).rem_euclid(7),
    ]
}

fn of<'a>(names: &[&'a str], number: i64) -> &'a str {
    let number = usize::try_from(number).unwrap_or(0);
    names.get(number).copied().unwrap_or_default()
}

/// A time as HTTP has it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn date(seconds: i64) -> String {
    let [year, month, day, hour, minute, second, week] = civil(seconds);
    let (week, month) = (of(&DAYS, week), of(&MONTHS, month.saturating_sub(1)));
    format!("{week}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Reads such a time.
pub(super) fn read_date(text: &str) -> Option<i64> {
    let (_, rest) = text.trim().split_once(", ")?;
    let mut words = rest.split(' ');
    let day: i64 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)?;
    let month = i64::try_from(month).ok()?.saturating_add(1);
    let year: i64 = words.next()?.parse().ok()?;
    let mut clock = words
        .next()?
        .split(':')
        .map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if words.next()? != "GMT" || !(1..=31).contains(&day) || !(1970..=9999).contains(&year) {
        return None;
    }
    let year = year.saturating_sub(i64::from(month <= 2));
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let part = (month.saturating_add(9) % 12)
        .saturating_mul(153)
        .saturating_add(2)
        / 5;
    let days = of_era
        .saturating_mul(365)
        .saturating_add(of_era / 4)
        .saturating_sub(of_era / 100)
        .saturating_add(part)
        .saturating_add(day)
        .saturating_sub(1);
    let days = era
        .saturating_mul(146_097)
        .saturating_add(days)
        .saturating_sub(719_468);
    let clock = hour
        .saturating_mul(3_600)
        .saturating_add(minute.saturating_mul(60));
    Some(
        days.saturating_mul(86_400)
            .saturating_add(clock)
            .saturating_add(second),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    #[test]
    fn times_are_written_and_read_as_http_has_them() {
        for (seconds, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_795_393_799, "Mon, 23 Nov 2026 00:29:59 GMT"),
        ] {
            assert_eq!(date(seconds), text);
            assert_eq!(read_date(text), Some(seconds));
        }
        for seconds in (0..4_000_000_000).step_by(86_399 * 7) {
            assert_eq!(read_date(&date(seconds)), Some(seconds));
        }
        for text in [
            "",
            "x",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 99 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(read_date(text), None);
        }
    }
}
