//! Which crate may depend on which: the edges of ARCHITECTURE.md.
//!
//! An edge that no row allows is an error. So is a crate without a row.

use std::collections::BTreeSet;
use std::path::Path;

use crate::metadata::{self, Package};
use crate::program::Failure;

/// A crate and those of ours that it may use outside its tests.
const EDGES: &[(&str, &[&str])] = &[
    ("keys", &[]),
    ("ratchet", &["keys"]),
    ("groups", &["keys"]),
    ("seal", &["keys"]),
    ("media", &["keys"]),
    ("directory", &["keys"]),
    ("wire", &["keys"]),
    ("mail", &["keys", "seal"]),
    (
        "engine",
        &[
            "keys",
            "ratchet",
            "groups",
            "seal",
            "mail",
            "media",
            "directory",
            "wire",
        ],
    ),
    ("client", &["engine", "keys", "seal", "wire"]),
    ("relay", &["keys", "directory", "wire"]),
    ("letterlock", &["client", "relay"]),
    ("bindings", &["client"]),
    ("testkit", &["engine", "client", "relay", "keys", "wire"]),
    ("xtask", &["groups", "ratchet", "seal"]),
];

/// Foreign crates that only some of ours may name.
struct Rule {
    /// What these crates are, in an error.
    about: &'static str,
    /// A name ending in `*` stands for all names that start so.
    crates: &'static [&'static str],
    normal: &'static [&'static str],
    dev: &'static [&'static str],
}

const RULES: &[Rule] = &[
    Rule {
        about: "cryptographic primitives are called in `keys` alone",
        crates: &[
            "aes*",
            "argon2",
            "aws-lc-*",
            "blake2*",
            "blake3",
            "cbc",
            "chacha20*",
            "curve25519-*",
            "ed25519*",
            "hkdf",
            "hmac",
            "hpke",
            "libcrux*",
            "ml-dsa",
            "ml-kem",
            "openssl*",
            "p256",
            "p384",
            "pbkdf2",
            "pqcrypto*",
            "ring",
            "rsa",
            "scrypt",
            "sha1",
            "sha2",
            "sha3",
            "spake2",
            "x-wing",
            "x25519-*",
        ],
        // The provider of MLS in `groups` is the one exception.
        normal: &["groups", "keys"],
        // The client's tests read the pages of its database as its library wrote them.
        dev: &["client", "groups", "keys"],
    },
    Rule {
        about: "a second implementation is for tests and benchmarks of the same crate",
        crates: &["vodozemac"],
        normal: &[],
        dev: &["ratchet"],
    },
    Rule {
        about: "randomness is an argument; the system's is read in `os.rs` of client and relay",
        crates: &["fastrand", "getrandom", "rand"],
        normal: &["client", "relay"],
        dev: &["client", "relay"],
    },
    Rule {
        about: "MLS stays in `groups`",
        crates: &["mls-rs*", "openmls*"],
        normal: &["groups"],
        dev: &["groups"],
    },
    Rule {
        about: "seeded randomness is for tests; MLS asks for its own at any time and gets it from the caller's seed",
        crates: &["rand_chacha"],
        normal: &["groups", "testkit"],
        dev: &["*"],
    },
    Rule {
        about: "protobuf stays in `wire` and in the engine's content",
        crates: &["prost*", "protox*"],
        normal: &["engine", "wire"],
        dev: &["engine", "wire"],
    },
    Rule {
        about: "async and sockets stay in client, relay and letterlock",
        crates: &[
            "axum*",
            "futures*",
            "hyper*",
            "reqwest",
            "rustls*",
            "tokio*",
            "tower*",
            "tungstenite",
        ],
        normal: &["client", "letterlock", "relay", "testkit"],
        dev: &["client", "letterlock", "relay", "testkit"],
    },
    Rule {
        about: "databases stay in the stores of client and relay",
        crates: &["libsqlite3-sys", "rusqlite", "sqlx*"],
        normal: &["client", "relay"],
        dev: &["client", "letterlock", "relay", "testkit"],
    },
];

/// What the relay must not reach by any path: all that opens a letter.
const OPENERS: &[&str] = &[
    "engine", "ratchet", "groups", "seal", "mail", "media", "client",
];

pub(crate) fn check(root: &Path) -> Result<Vec<String>, Failure> {
    Ok(findings(&metadata::packages(root, "Cargo.toml")?))
}

fn findings(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        own_edges(package, &mut found);
        foreign_edges(package, &mut found);
    }
    relay_opens_nothing(packages, &mut found);
    found
}

fn own_edges(package: &Package, found: &mut Vec<String>) {
    let name = &package.name;
    let Some((_, allowed)) = EDGES.iter().find(|(row, _)| row == name) else {
        found.push(format!(
            "{name}: no row in xtask/src/arch.rs says what it may use"
        ));
        return;
    };
    for edge in package.dependencies.iter().filter(|edge| edge.ours) {
        let to = edge.name.as_str();
        let permitted = allowed.contains(&to) || (edge.dev && (to == "testkit" || to == name));
        if to == "testkit" && !edge.dev {
            found.push(format!("{name} -> testkit: only as a dev-dependency"));
        } else if !permitted {
            let kind = if edge.dev { " (dev)" } else { "" };
            found.push(format!("{name} -> {to}{kind}: not an edge of the map"));
        }
    }
}

fn foreign_edges(package: &Package, found: &mut Vec<String>) {
    let name = package.name.as_str();
    for edge in package.dependencies.iter().filter(|edge| !edge.ours) {
        if edge.git {
            found.push(format!("{name} -> {}: a git dependency", edge.name));
        }
        for rule in RULES.iter().filter(|rule| matches(rule.crates, &edge.name)) {
            let allowed = if edge.dev { rule.dev } else { rule.normal };
            if !matches(allowed, name) {
                found.push(format!("{name} -> {}: {}", edge.name, rule.about));
            }
        }
    }
}

fn matches(patterns: &[&str], name: &str) -> bool {
    patterns
        .iter()
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => *pattern == name,
        })
}

fn relay_opens_nothing(packages: &[Package], found: &mut Vec<String>) {
    let mut reached = BTreeSet::from(["relay"]);
    let mut open = vec!["relay"];
    while let Some(at) = open.pop() {
        let Some(package) = packages.iter().find(|package| package.name == at) else {
            continue;
        };
        for edge in package
            .dependencies
            .iter()
            .filter(|edge| edge.ours && !edge.dev)
        {
            if reached.insert(&edge.name) {
                open.push(&edge.name);
            }
        }
    }
    for opener in OPENERS.iter().filter(|opener| reached.contains(**opener)) {
        found.push(format!(
            "relay reaches {opener}: it must link nothing that decrypts"
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A workspace that breaks no rule, with one more dependency in one crate.
    fn forged(name: &str, extra: Value) -> Vec<String> {
        let edge = |name: &str| json!({"name": format!("letterlock-{name}"), "path": "/x"});
        let mut packages = vec![
            json!({"name": "letterlock-keys", "dependencies": [foreign("aws-lc-rs")]}),
            json!({"name": "letterlock-ratchet", "dependencies": [edge("keys")]}),
            json!({"name": "letterlock-wire", "dependencies": [edge("keys"), foreign("prost")]}),
            json!({"name": "letterlock-engine", "dependencies": [edge("ratchet"), edge("wire")]}),
            json!({"name": "letterlock-client", "dependencies": [edge("engine"), foreign("tokio")]}),
            json!({"name": "letterlock-relay", "dependencies": [edge("wire"), foreign("axum")]}),
            json!({"name": "letterlock", "dependencies": [edge("client"), edge("relay")]}),
            json!({"name": "letterlock-testkit", "dependencies": [edge("engine"), edge("relay")]}),
        ];
        for package in &mut packages {
            if package["name"] == name {
                package["dependencies"]
                    .as_array_mut()
                    .unwrap()
                    .push(extra.clone());
            }
        }
        findings(&metadata::parse(&json!({ "packages": packages })))
    }

    fn ours(name: &str) -> Value {
        json!({"name": format!("letterlock-{name}"), "path": "/x"})
    }

    fn foreign(name: &str) -> Value {
        json!({"name": name, "source": "registry+x"})
    }

    fn dev(mut edge: Value) -> Value {
        edge["kind"] = json!("dev");
        edge
    }

    #[track_caller]
    fn refused(package: &str, extra: Value, message: &str) {
        let found = forged(package, extra);
        assert!(
            found.iter().any(|finding| finding.contains(message)),
            "{message:?} is not in {found:?}"
        );
    }

    #[test]
    fn a_workspace_along_the_map_passes() {
        assert_eq!(forged("letterlock-keys", dev(foreign("hpke"))), [""; 0]);
        assert_eq!(forged("letterlock-engine", dev(ours("testkit"))), [""; 0]);
        assert_eq!(
            forged("letterlock-ratchet", dev(foreign("vodozemac"))),
            [""; 0]
        );
    }

    #[test]
    fn an_edge_outside_the_map_is_refused() {
        refused("letterlock-keys", ours("wire"), "keys -> wire: not an edge");
        refused(
            "letterlock-client",
            ours("ratchet"),
            "client -> ratchet: not an edge",
        );
    }

    #[test]
    fn siblings_do_not_import_each_other_even_in_tests() {
        refused(
            "letterlock-wire",
            ours("ratchet"),
            "wire -> ratchet: not an edge",
        );
        refused(
            "letterlock-ratchet",
            dev(ours("wire")),
            "ratchet -> wire (dev)",
        );
    }

    #[test]
    fn the_relay_reaches_nothing_that_decrypts() {
        refused("letterlock-relay", ours("engine"), "relay reaches ratchet");
        refused("letterlock-wire", ours("ratchet"), "relay reaches ratchet");
    }

    #[test]
    fn testkit_is_a_dev_dependency_only() {
        refused(
            "letterlock-engine",
            ours("testkit"),
            "only as a dev-dependency",
        );
    }

    #[test]
    fn primitives_are_named_in_keys_alone() {
        refused(
            "letterlock-ratchet",
            foreign("curve25519-dalek"),
            "called in `keys` alone",
        );
        refused(
            "letterlock-client",
            foreign("aes-gcm"),
            "called in `keys` alone",
        );
        refused(
            "letterlock-engine",
            dev(foreign("aes-gcm")),
            "called in `keys` alone",
        );
        refused(
            "letterlock-ratchet",
            foreign("vodozemac"),
            "second implementation",
        );
    }

    #[test]
    fn chance_async_protobuf_and_databases_stay_where_they_belong() {
        refused(
            "letterlock-engine",
            foreign("getrandom"),
            "randomness is an argument",
        );
        refused(
            "letterlock-engine",
            foreign("rand_chacha"),
            "seeded randomness",
        );
        refused(
            "letterlock-engine",
            foreign("tokio-util"),
            "async and sockets",
        );
        refused("letterlock-relay", foreign("prost"), "protobuf stays");
        refused("letterlock-wire", foreign("rusqlite"), "databases stay");
    }

    #[test]
    fn a_git_dependency_is_refused() {
        let git = json!({"name": "serde", "source": "git+https://example.org/serde"});
        refused("letterlock-keys", git, "a git dependency");
    }

    #[test]
    fn a_crate_without_a_row_is_refused() {
        let packages = json!({"packages": [{"name": "letterlock-extra", "dependencies": []}]});
        let found = findings(&metadata::parse(&packages));
        assert_eq!(
            found,
            ["extra: no row in xtask/src/arch.rs says what it may use"]
        );
    }
}
