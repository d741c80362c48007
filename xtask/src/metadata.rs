//! What `cargo metadata` says of the workspace.

use std::path::Path;

use serde_json::Value;

use crate::program::{Failure, Line};

/// One crate of the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    /// Without the prefix `letterlock-`.
    pub(crate) name: String,
    /// As `cargo -p` takes it.
    pub(crate) package: String,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) targets: Vec<Target>,
}

/// One line under `[dependencies]`, `[dev-dependencies]` or `[build-dependencies]`.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    /// Ours without the prefix `letterlock-`; a foreign crate as the registry calls it.
    pub(crate) name: String,
    pub(crate) ours: bool,
    pub(crate) dev: bool,
    pub(crate) git: bool,
}

/// A library, program, test, benchmark or example.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) source: String,
    pub(crate) features: Vec<String>,
}

/// Reads the packages of a manifest, sorted by name. Needs no network.
pub(crate) fn packages(root: &Path, manifest: &str) -> Result<Vec<Package>, Failure> {
    let line = Line::new(&["cargo", "metadata", "--no-deps", "--format-version", "1"])
        .with("--manifest-path")
        .with(manifest);
    let json: Value = serde_json::from_slice(&line.output(root)?)
        .map_err(|error| Failure::new(format!("cargo metadata: {error}"), ""))?;
    Ok(parse(&json))
}

pub(crate) fn parse(json: &Value) -> Vec<Package> {
    let mut packages: Vec<Package> = list(json, "packages").map(package).collect();
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    packages
}

fn package(json: &Value) -> Package {
    let name = text(json, "name");
    Package {
        name: short(&name),
        package: name,
        dependencies: list(json, "dependencies").map(dependency).collect(),
        targets: list(json, "targets").map(target).collect(),
    }
}

fn dependency(json: &Value) -> Dependency {
    let ours = json.get("path").is_some_and(Value::is_string);
    let name = text(json, "name");
    Dependency {
        name: if ours { short(&name) } else { name },
        ours,
        dev: json.get("kind").and_then(Value::as_str) == Some("dev"),
        git: text(json, "source").starts_with("git+"),
    }
}

fn target(json: &Value) -> Target {
    let first = |key: &str| {
        list(json, key)
            .next()
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Target {
        name: text(json, "name"),
        kind: first("kind"),
        source: text(json, "src_path"),
        features: list(json, "required-features")
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    }
}

fn list<'a>(json: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    json.get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn text(json: &Value, key: &str) -> String {
    json.get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned()
}

fn short(name: &str) -> String {
    name.strip_prefix("letterlock-").unwrap_or(name).to_owned()
}
