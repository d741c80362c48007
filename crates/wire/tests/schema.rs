//! The Rust structs and `schema/letterlock.proto` are the same messages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code"
)]

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto};
use std::collections::{BTreeMap, BTreeSet};

/// Name, number and type of a field, in the words of the prost attribute.
type Field = (String, i32, String);

const RUST: &str = include_str!("../src/proto.rs");
const SCHEMA: &str = include_str!("../schema/letterlock.proto");

fn schema() -> FileDescriptorProto {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schema");
    let set = protox::compile(["letterlock.proto"], [folder]).unwrap();
    set.file.into_iter().next().unwrap()
}

fn type_of(field: &FieldDescriptorProto) -> String {
    let name = match field.r#type() {
        Type::Uint32 => "uint32".to_owned(),
        Type::Uint64 => "uint64".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::String => "string".to_owned(),
        Type::Bytes => "bytes".to_owned(),
        Type::Message => format!("message {}", short(field.type_name())),
        Type::Enum => format!("enumeration {}", short(field.type_name())),
        other => panic!("{other:?} is not used"),
    };
    if field.label() == Label::Repeated {
        format!("repeated {name}")
    } else {
        name
    }
}

fn short(name: &str) -> &str {
    name.rsplit('.').next().unwrap()
}

fn camel(name: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(capital).collect()
}

/// Fields of a message as one list, those of a oneof with the names of the enum's variants.
fn fields_of_schema(message: &DescriptorProto) -> BTreeSet<Field> {
    let name = |field: &FieldDescriptorProto| match field.oneof_index {
        Some(_) => camel(field.name()),
        None => field.name().to_owned(),
    };
    message
        .field
        .iter()
        .map(|field| (name(field), field.number(), type_of(field)))
        .collect()
}

fn attribute(line: &str) -> Option<&str> {
    line.trim().strip_prefix("#[prost(")?.strip_suffix(")]")
}

/// The lines of the Rust form, an attribute that spans several joined into one.
fn logical_lines() -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in RUST.lines() {
        match lines.last_mut() {
            Some(last) if last.trim().starts_with("#[prost(") && !last.ends_with(")]") => {
                let gap = if last.ends_with('(') || line.trim() == ")]" {
                    ""
                } else {
                    " "
                };
                let joined = last.trim_end_matches(',').len();
                if line.trim() == ")]" {
                    last.truncate(joined);
                }
                *last = format!("{last}{gap}{}", line.trim());
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// Every struct and enum of the Rust form: its fields by the attribute above each.
fn rust_items() -> BTreeMap<String, BTreeSet<Field>> {
    let mut items: BTreeMap<String, BTreeSet<Field>> = BTreeMap::new();
    let lines = logical_lines();
    let mut lines = lines.iter().map(String::as_str).peekable();
    let mut item = String::new();
    while let Some(line) = lines.next() {
        if let Some(rest) = line
            .strip_prefix("pub(crate) struct ")
            .or(line.strip_prefix("pub(crate) enum "))
        {
            item = rest.split(' ').next().unwrap().to_owned();
            items.entry(item.clone()).or_default();
        }
        if let Some(attribute) = attribute(line) {
            let below = lines
                .peek()
                .unwrap()
                .trim()
                .trim_start_matches("pub(crate) ");
            let (name, rust_type) = below.split_once([':', '(']).unwrap();
            items
                .get_mut(&item)
                .unwrap()
                .insert(parse(attribute, name, rust_type));
        }
    }
    items
}

fn parse(attribute: &str, name: &str, rust_type: &str) -> Field {
    let quoted = |key: &str| {
        let (_, after) = attribute.split_once(&format!("{key} = \""))?;
        after.split('"').next()
    };
    if let Some(oneof) = quoted("oneof") {
        return (
            name.to_owned(),
            -1,
            format!("oneof {oneof} {}", quoted("tags").unwrap()),
        );
    }
    let inner = rust_type
        .trim()
        .trim_end_matches(['>', ',', ')'])
        .rsplit('<')
        .next()
        .unwrap();
    let kind = attribute.split([',', ' ']).next().unwrap();
    let kind = match kind {
        "message" => format!("message {inner}"),
        "enumeration" => format!("enumeration {}", quoted("enumeration").unwrap()),
        other => other.to_owned(),
    };
    let kind = if attribute.contains("repeated") {
        format!("repeated {kind}")
    } else {
        kind
    };
    (
        name.to_owned(),
        quoted("tag").unwrap().parse().unwrap(),
        kind,
    )
}

/// The fields of a struct, with its oneof spread out.
fn fields_of_rust(items: &BTreeMap<String, BTreeSet<Field>>, name: &str) -> BTreeSet<Field> {
    let mut fields = BTreeSet::new();
    for field in items
        .get(name)
        .unwrap_or_else(|| panic!("no struct {name}"))
    {
        match field.2.strip_prefix("oneof ") {
            None => drop(fields.insert(field.clone())),
            Some(oneof) => {
                let (variants, tags) = oneof.split_once(' ').unwrap();
                let variants = &items[variants];
                let listed: BTreeSet<i32> =
                    tags.split(", ").map(|tag| tag.parse().unwrap()).collect();
                assert_eq!(
                    listed,
                    variants.iter().map(|variant| variant.1).collect(),
                    "tags of {name}"
                );
                fields.extend(variants.iter().cloned());
            }
        }
    }
    fields
}

#[test]
fn structs_and_schema_agree() {
    let items = rust_items();
    let schema = schema();
    for message in &schema.message_type {
        assert_eq!(
            fields_of_rust(&items, message.name()),
            fields_of_schema(message),
            "{}",
            message.name()
        );
    }
    let derived = RUST.matches("prost::Message)]").count();
    assert_eq!(
        derived,
        schema.message_type.len(),
        "a struct that the schema does not know"
    );
}

#[test]
fn enumerations_and_schema_agree() {
    for enumeration in &schema().enum_type {
        let head = format!("pub(crate) enum {} {{", enumeration.name());
        let (_, body) = RUST
            .split_once(&head)
            .unwrap_or_else(|| panic!("no {head}"));
        let body = body.split('}').next().unwrap();
        let rust: BTreeSet<(String, i32)> = body
            .lines()
            .filter_map(|line| line.trim().trim_end_matches(',').split_once(" = "))
            .map(|(name, number)| (name.to_owned(), number.parse().unwrap()))
            .collect();
        let prefix = screaming(enumeration.name());
        let in_schema = enumeration.value.iter().map(|value| {
            let name = value
                .name()
                .strip_prefix(&prefix)
                .expect("values begin with the name of their enum");
            (camel(&name.to_lowercase()), value.number())
        });
        assert_eq!(rust, in_schema.collect(), "{}", enumeration.name());
    }
}

fn screaming(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out + "_"
}

#[test]
fn every_line_of_the_schema_has_a_comment_above() {
    let mut before = "";
    for line in SCHEMA
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let declares = line.ends_with(';') || line.ends_with('{') || line.ends_with("{}");
        let exempt =
            line.starts_with("//") || line.starts_with("syntax") || line.starts_with("package");
        assert!(
            !declares || exempt || before.starts_with("//"),
            "no comment above: {line}"
        );
        before = line;
    }
}
