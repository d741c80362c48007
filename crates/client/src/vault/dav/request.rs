//! What a request of WebDAV wishes: paths, headers, and the little of XML that names of properties need.

use hyper::{Method, Request, StatusCode};
use std::collections::HashMap;

/// Deepest elements that are looked at.
const DEEPEST: usize = 16;
pub(super) const DAV: &str = "DAV:";
const MICROSOFT: &str = "urn:schemas-microsoft-com:";

/// How far below a path something is wished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Zero,
    One,
    Infinity,
}

/// What the head of a request says.
pub(super) struct Wish {
    pub(super) names: Vec<Vec<u8>>,
    /// Tokens of locks.
    pub(super) shown: String,
    pub(super) depth: Depth,
    pub(super) destination: Option<String>,
    pub(super) overwrite: bool,
    pub(super) range: Option<String>,
    /// Whether nothing may be there.
    pub(super) none_match: bool,
}

impl Wish {
    pub(super) fn of<T>(request: &Request<T>, names: Vec<Vec<u8>>) -> Self {
        let head = |name: &str| {
            let value = request.headers().get(name).and_then(|it| it.to_str().ok());
            value.map(str::to_owned)
        };
        let text = |name: &str| head(name).unwrap_or_default();
        Self {
            names,
            shown: format!("{} {}", text("if"), text("lock-token")),
            depth: match text("depth").as_str() {
                "0" => Depth::Zero,
                "1" => Depth::One,
                _ => Depth::Infinity,
            },
            destination: head("destination"),
            overwrite: !text("overwrite").eq_ignore_ascii_case("f"),
            range: head("range"),
            none_match: text("if-none-match").trim() == "*",
        }
    }

    /// Whether such a request changes something that a lock may protect.
    pub(super) fn writes(method: &Method) -> bool {
        matches!(
            method.as_str(),
            "PUT" | "DELETE" | "MKCOL" | "MOVE" | "COPY" | "PROPPATCH"
        )
    }
}

/// A part of a path, as bytes.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut left = text.as_bytes();
    while let Some((first, rest)) = left.split_first() {
        left = rest;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (two, rest) = left.split_at_checked(2)?;
        let two = std::str::from_utf8(two).ok()?;
        bytes.push(u8::from_str_radix(two, 16).ok()?);
        left = rest;
    }
    Some(bytes)
}

/// Bytes, as a part of a path.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(*byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// The one range that a request asks for: where it begins and how long it is. Nothing: all.
pub(super) fn read_range(text: Option<&str>, size: u64) -> Result<Option<(u64, u64)>, StatusCode> {
    let Some(range) = text.and_then(|text| text.strip_prefix("bytes=")) else {
        return Ok(None);
    };
    let Some((first, last)) = range
        .split_once('-')
        .filter(|(_, last)| !last.contains(','))
    else {
        return Ok(None);
    };
    let (first, last) = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) => (first, last.min(size.saturating_sub(1))),
        (Ok(first), Err(_)) if last.is_empty() => (first, size.saturating_sub(1)),
        (Err(_), Ok(length)) if first.is_empty() => {
            (size.saturating_sub(length), size.saturating_sub(1))
        }
        _ => return Ok(None),
    };
    match first <= last && first < size {
        true => Ok(Some((first, last.saturating_sub(first).saturating_add(1)))),
        false => Err(StatusCode::RANGE_NOT_SATISFIABLE),
    }
}

/// The name of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PropertyName {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl PropertyName {
    /// Whether it says when something was modified.
    pub(super) fn is_modified(&self) -> bool {
        matches!(
            (self.namespace.as_str(), self.name.as_str()),
            (DAV, "getlastmodified") | (MICROSOFT, "Win32LastModifiedTime")
        )
    }

    /// Whether it is one of those that Windows sets, and that say nothing that is kept.
    pub(super) fn is_windows(&self) -> bool {
        self.namespace == MICROSOFT
    }
}

/// Which properties are asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    Names,
    These(Vec<PropertyName>),
}

/// Reads a body of `PROPFIND`. Nothing: it is none.
pub(super) fn property_names(body: &[u8]) -> Option<Wanted> {
    if body.is_empty() {
        return Some(Wanted::All);
    }
    let elements = elements(body)?;
    let is = |element: &Element, depth: usize, name: &str| {
        element.depth == depth && element.name.namespace == DAV && element.name.name == name
    };
    if !elements
        .first()
        .is_some_and(|first| is(first, 1, "propfind"))
    {
        return None;
    }
    if elements.iter().any(|element| is(element, 2, "propname")) {
        return Some(Wanted::Names);
    }
    if !elements.iter().any(|element| is(element, 2, "prop")) {
        return Some(Wanted::All);
    }
    let inner = elements.into_iter().filter(|element| element.depth == 3);
    Some(Wanted::These(inner.map(|element| element.name).collect()))
}

/// Reads a body of `PROPPATCH`: names and values. Nothing: it is none.
pub(super) fn properties_to_set(body: &[u8]) -> Option<Vec<(PropertyName, String)>> {
    let elements = elements(body)?;
    let first = elements.first()?;
    if (first.name.namespace.as_str(), first.name.name.as_str()) != (DAV, "propertyupdate") {
        return None;
    }
    let inner = elements.into_iter().filter(|element| element.depth == 4);
    Some(inner.map(|element| (element.name, element.text)).collect())
}

struct Element {
    depth: usize,
    name: PropertyName,
    /// What it holds before the next tag.
    text: String,
}

/// All elements, in their order. Nothing: it is no XML, or more of it than names of properties need.
fn elements(body: &[u8]) -> Option<Vec<Element>> {
    let mut left = std::str::from_utf8(body).ok()?;
    left = left.strip_prefix('\u{feff}').unwrap_or(left);
    let mut elements: Vec<Element> = Vec::new();
    // What prefixes stand for, in each element that is open.
    let mut open: Vec<HashMap<String, String>> = Vec::new();
    while let Some(at) = left.find('<') {
        let (text, rest) = left.split_at_checked(at)?;
        if let Some(last) = elements.last_mut().filter(|last| last.text.is_empty()) {
            last.text = plain(text.trim());
        }
        let rest = rest.get(1..)?;
        if let Some(comment) = rest.strip_prefix("!--") {
            left = comment.split_once("-->")?.1;
            continue;
        }
        // SECURITY: a document type may define what grows without end; `what_is_no_plain_xml_is_refused` notices.
        if rest.starts_with('!') {
            return None;
        }
        let (tag, after) = rest.split_once('>')?;
        left = after;
        if tag.starts_with('?') {
            continue;
        }
        if tag.starts_with('/') {
            open.pop()?;
            continue;
        }
        let (tag, ends) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        if open.len() >= DEEPEST {
            return None;
        }
        let (name, attributes) = tag
            .split_once(|char: char| char.is_ascii_whitespace())
            .unwrap_or((tag, ""));
        let mut prefixes = open.last().cloned().unwrap_or_default();
        namespaces(attributes, &mut prefixes)?;
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        let namespace = prefixes.get(prefix).cloned();
        let namespace = match prefix {
            "" => namespace.unwrap_or_default(),
            _ => namespace?,
        };
        elements.push(Element {
            depth: open.len().checked_add(1)?,
            name: PropertyName {
                namespace,
                name: local.to_owned(),
            },
            text: String::new(),
        });
        if !ends {
            open.push(prefixes);
        }
    }
    (open.is_empty() && !elements.is_empty()).then_some(elements)
}

/// What attributes say of prefixes.
fn namespaces(attributes: &str, prefixes: &mut HashMap<String, String>) -> Option<()> {
    let mut left = attributes.trim();
    while !left.is_empty() {
        let (name, rest) = left.split_once('=')?;
        let rest = rest.trim_start();
        let quote = rest
            .chars()
            .next()
            .filter(|char| matches!(char, '"' | '\''))?;
        let (value, rest) = rest.get(1..)?.split_once(quote)?;
        match name.trim().split_once(':') {
            Some(("xmlns", prefix)) => prefixes.insert(prefix.to_owned(), plain(value)),
            None if name.trim() == "xmlns" => prefixes.insert(String::new(), plain(value)),
            _ => None,
        };
        left = rest.trim_start();
    }
    Some(())
}

fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    fn name(namespace: &str, name: &str) -> PropertyName {
        PropertyName {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn names_of_properties_are_read() {
        let body = br#"<?xml version="1.0"?><D:propfind xmlns:D="DAV:" xmlns:x='urn:x'>
            <!-- what --><D:prop><D:getetag/><x:own a="b>"/><plain xmlns="urn:y"/></D:prop></D:propfind>"#;
        let body = String::from_utf8(body.to_vec()).unwrap().replace("b>", "b");
        let wanted = property_names(body.as_bytes()).unwrap();
        let names = vec![
            name(DAV, "getetag"),
            name("urn:x", "own"),
            name("urn:y", "plain"),
        ];
        assert_eq!(wanted, Wanted::These(names));
        let all = br#"<propfind xmlns="DAV:"><allprop/></propfind>"#;
        assert_eq!(property_names(all), Some(Wanted::All));
        assert_eq!(property_names(b""), Some(Wanted::All));
        let set = br#"<a:propertyupdate xmlns:a="DAV:"><a:set><a:prop><a:getlastmodified>x &amp; y</a:getlastmodified>
            </a:prop></a:set></a:propertyupdate>"#;
        let set = properties_to_set(set).unwrap();
        assert_eq!(set, [(name(DAV, "getlastmodified"), "x & y".to_owned())]);
    }

    #[test]
    fn what_is_no_plain_xml_is_refused() {
        let bodies: [&[u8]; 8] = [
            b"x",
            b"<a",
            b"<a>",
            b"</a>",
            b"<D:propfind/>",
            b"<!DOCTYPE a [<!ENTITY b 'c'>]><propfind xmlns=\"DAV:\"/>",
            b"\xff<propfind xmlns=\"DAV:\"/>",
            b"<propfind xmlns=\"urn:x\"/>",
        ];
        for body in bodies {
            assert_eq!(property_names(body), None, "{body:?}");
        }
        let deep = "<a>".repeat(100_000);
        assert_eq!(property_names(deep.as_bytes()), None);
    }

    #[test]
    fn paths_and_ranges_are_read() {
        assert_eq!(decode("a%20b%c3%A4"), Some("a b\u{e4}".as_bytes().to_vec()));
        assert_eq!(
            (decode("%"), decode("%4"), decode("%zz")),
            (None, None, None)
        );
        assert_eq!(encode(b"a b/\xff"), "a%20b%2F%FF");
        let read = |text| read_range(Some(text), 10);
        assert_eq!(read("bytes=2-4"), Ok(Some((2, 3))));
        assert_eq!(read("bytes=2-"), Ok(Some((2, 8))));
        assert_eq!(read("bytes=-3"), Ok(Some((7, 3))));
        assert_eq!(read("bytes=2-99"), Ok(Some((2, 8))));
        assert_eq!(read("bytes=0-0,5-6"), Ok(None));
        assert_eq!(read("bytes=10-"), Err(StatusCode::RANGE_NOT_SATISFIABLE));
        assert_eq!(
            read_range(Some("bytes=0-"), 0),
            Err(StatusCode::RANGE_NOT_SATISFIABLE)
        );
        assert_eq!(read_range(None, 10), Ok(None));
    }
}
