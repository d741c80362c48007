//! The inventory as a cryptography bill of materials: CycloneDX 1.6, JSON.

use crate::time;
use client::inventory::{Algorithm, Inventory, Key, is_protocol};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The reference of the program in the document.
const PROGRAM: &str = "letterlock";

/// Makes the document.
pub(crate) fn document(of: &Inventory, algorithms: &[Algorithm], keys: &[Key]) -> Value {
    let mut components: Vec<Value> = algorithms.iter().map(algorithm).collect();
    components.extend(
        keys.iter()
            .enumerate()
            .map(|(place, held)| key(place, held)),
    );
    let mut depends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for known in algorithms {
        let parts = known.parts.iter().map(|part| reference(part));
        depends.insert(reference(&known.name), parts.collect());
    }
    for (place, held) in keys.iter().enumerate() {
        depends.insert(key_reference(place, held), vec![reference(&held.algorithm)]);
    }
    let all: Vec<String> = depends.keys().cloned().collect();
    depends.insert(PROGRAM.to_owned(), all);
    let dependencies: Vec<Value> = depends
        .into_iter()
        .map(|(name, on)| json!({"ref": name, "dependsOn": on}))
        .collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time::utc(of.at),
            "component": {
                "type": "application",
                "bom-ref": PROGRAM,
                "name": PROGRAM,
                "version": env!("CARGO_PKG_VERSION"),
                "properties": [
                    {"name": "letterlock:account", "value": of.account_id},
                    {"name": "letterlock:device", "value": of.device_id},
                    {"name": "letterlock:suite", "value": of.suite},
                ],
            },
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn reference(algorithm: &str) -> String {
    let name = algorithm.to_lowercase().replace([' ', '+'], "-");
    format!("crypto/algorithm/{name}")
}

fn key_reference(place: usize, key: &Key) -> String {
    format!("crypto/key/{place}-{}", key.key)
}

fn algorithm(known: &Algorithm) -> Value {
    let properties = if is_protocol(known) {
        let kind = if known.name.starts_with("TLS") {
            "tls"
        } else {
            "other"
        };
        let parts: Vec<String> = known.parts.iter().map(|part| reference(part)).collect();
        json!({
            "assetType": "protocol",
            "protocolProperties": {
                "type": kind,
                "version": known.parameters,
                "cryptoRefArray": parts,
            },
        })
    } else {
        json!({"assetType": "algorithm", "algorithmProperties": algorithm_properties(known)})
    };
    json!({
        "type": "cryptographic-asset",
        "bom-ref": reference(&known.name),
        "name": known.name,
        "description": known.uses.join("; "),
        "cryptoProperties": properties,
        "properties": [{"name": "letterlock:standard", "value": known.standard}],
    })
}

fn algorithm_properties(known: &Algorithm) -> Value {
    let mut properties = Map::new();
    let mut set = |name: &str, value: Value| {
        properties.insert(name.to_owned(), value);
    };
    set("primitive", known.primitive.clone().into());
    set("parameterSetIdentifier", known.parameters.clone().into());
    set("executionEnvironment", "software-plain-ram".into());
    set("cryptoFunctions", functions(&known.primitive).into());
    if known.classical_bits > 0 {
        set("classicalSecurityLevel", known.classical_bits.into());
    }
    set("nistQuantumSecurityLevel", known.quantum_category.into());
    for (end, mode) in [("-GCM", "gcm"), ("-CBC", "cbc")] {
        if known.name.ends_with(end) {
            set("mode", mode.into());
        }
    }
    properties.into()
}

fn functions(primitive: &str) -> Vec<&'static str> {
    match primitive {
        "kem" => vec!["keygen", "encapsulate", "decapsulate"],
        "signature" => vec!["keygen", "sign", "verify"],
        "key-agree" => vec!["keygen", "keyderive"],
        "ae" | "block-cipher" => vec!["encrypt", "decrypt"],
        "mac" => vec!["tag"],
        "hash" | "xof" => vec!["digest"],
        "kdf" => vec!["keyderive"],
        "drbg" => vec!["generate"],
        _ => vec!["other"],
    }
}

fn key(place: usize, held: &Key) -> Value {
    let properties = match held.key.as_str() {
        "device_certificate" => certificate_properties(held),
        _ => json!({
            "assetType": "related-crypto-material",
            "relatedCryptoMaterialProperties": key_properties(held),
        }),
    };
    json!({
        "type": "cryptographic-asset",
        "bom-ref": key_reference(place, held),
        "name": held.key,
        "description": held.who,
        "cryptoProperties": properties,
        "properties": [
            {"name": "letterlock:count", "value": held.count.to_string()},
            {"name": "letterlock:here", "value": held.here.to_string()},
            {"name": "letterlock:state", "value": held.state},
        ],
    })
}

fn certificate_properties(held: &Key) -> Value {
    let mut properties = Map::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            properties.insert(name.to_owned(), value.into());
        }
    };
    set("subjectName", held.device_id.clone());
    set("notValidBefore", held.created_at.and_then(time::utc));
    set("notValidAfter", held.expires_at.and_then(time::utc));
    set("signatureAlgorithmRef", Some(reference(&held.algorithm)));
    set(
        "certificateFormat",
        Some("letterlock device certificate 1".to_owned()),
    );
    json!({"assetType": "certificate", "certificateProperties": properties})
}

fn key_properties(held: &Key) -> Value {
    let kind = match held.key.as_str() {
        "recovery_sheet" | "recovery_guardians" => "seed",
        "kept_shares" => "shared-secret",
        "route_keys" | "backup_parts" | "profile" | "sessions" | "groups" | "vault_keys" => {
            "secret-key"
        }
        // The half that is elsewhere is known here by its public one.
        _ if held.here => "private-key",
        _ => "public-key",
    };
    let mut properties = Map::new();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            properties.insert(name.to_owned(), value.into());
        }
    };
    set("type", Some(kind.to_owned()));
    set(
        "id",
        held.device_id.clone().or_else(|| held.account_id.clone()),
    );
    set("state", Some(held.state.clone()));
    set("algorithmRef", Some(reference(&held.algorithm)));
    let made = held.created_at.and_then(time::utc);
    set("creationDate", made.clone());
    set(
        "activationDate",
        made.filter(|_| held.state != "pre-activation"),
    );
    set("updateDate", held.changed_at.and_then(time::utc));
    set("expirationDate", held.expires_at.and_then(time::utc));
    let mut properties: Value = properties.into();
    if held.here
        && let Some(properties) = properties.as_object_mut()
    {
        let by = match held.key.as_str() {
            "profile" => json!({"mechanism": "passphrase", "algorithmRef": reference("Argon2id")}),
            _ => {
                json!({"mechanism": "encrypted profile", "algorithmRef": reference("AES-256-CBC")})
            }
        };
        properties.insert("securedBy".to_owned(), by);
    }
    properties
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::panic,
        reason = "test code"
    )]
    use super::*;
    use std::collections::BTreeSet;

    const PRIMITIVES: [&str; 15] = [
        "drbg",
        "mac",
        "block-cipher",
        "stream-cipher",
        "signature",
        "hash",
        "pke",
        "xof",
        "kdf",
        "key-agree",
        "kem",
        "ae",
        "combiner",
        "other",
        "unknown",
    ];
    const FUNCTIONS: [&str; 13] = [
        "generate",
        "keygen",
        "encrypt",
        "decrypt",
        "digest",
        "tag",
        "keyderive",
        "sign",
        "verify",
        "encapsulate",
        "decapsulate",
        "other",
        "unknown",
    ];
    const STATES: [&str; 6] = [
        "pre-activation",
        "active",
        "suspended",
        "deactivated",
        "compromised",
        "destroyed",
    ];
    const MATERIALS: [&str; 6] = [
        "private-key",
        "public-key",
        "secret-key",
        "seed",
        "shared-secret",
        "other",
    ];

    /// Whether an object has only these fields, as the schema demands (`additionalProperties: false`).
    fn only(value: &Value, fields: &[&str]) {
        for field in value.as_object().unwrap().keys() {
            assert!(fields.contains(&field.as_str()), "{field} in {value}");
        }
    }

    fn one_of(value: &Value, words: &[&str]) {
        let word = value.as_str().unwrap_or_else(|| panic!("{value}"));
        assert!(words.contains(&word), "{word}");
    }

    fn date(value: &Value) {
        if let Some(text) = value.as_str() {
            assert!(text.parse::<jiff::Timestamp>().is_ok(), "{text}");
        } else {
            assert!(value.is_null(), "{value}");
        }
    }

    /// The rules of bom-1.6.schema.json for what such a document holds: required fields, words, references.
    fn check(bom: &Value) {
        only(
            bom,
            &[
                "$schema",
                "bomFormat",
                "specVersion",
                "version",
                "metadata",
                "components",
                "dependencies",
            ],
        );
        assert_eq!(bom["bomFormat"], "CycloneDX");
        assert_eq!(bom["specVersion"], "1.6");
        date(&bom["metadata"]["timestamp"]);
        let mut references = BTreeSet::from([PROGRAM.to_owned()]);
        for component in bom["components"].as_array().unwrap() {
            let fields = [
                "type",
                "bom-ref",
                "name",
                "description",
                "cryptoProperties",
                "properties",
            ];
            only(component, &fields);
            assert_eq!(component["type"], "cryptographic-asset");
            assert!(!component["name"].as_str().unwrap().is_empty());
            assert!(references.insert(component["bom-ref"].as_str().unwrap().to_owned()));
        }
        for component in bom["components"].as_array().unwrap() {
            asset(&component["cryptoProperties"], &references);
        }
        let mut depending = BTreeSet::new();
        for dependency in bom["dependencies"].as_array().unwrap() {
            only(dependency, &["ref", "dependsOn"]);
            let from = dependency["ref"].as_str().unwrap();
            assert!(
                references.contains(from) && depending.insert(from),
                "{from}"
            );
            let on = dependency["dependsOn"].as_array().unwrap();
            let distinct: BTreeSet<&str> = on.iter().map(|on| on.as_str().unwrap()).collect();
            assert_eq!(distinct.len(), on.len(), "{from}");
            assert!(distinct.iter().all(|on| references.contains(*on)), "{from}");
        }
    }

    fn asset(crypto: &Value, references: &BTreeSet<String>) {
        let refers = |value: &Value| {
            if let Some(reference) = value.as_str() {
                assert!(references.contains(reference), "{reference}");
            }
        };
        match crypto["assetType"].as_str().unwrap() {
            "algorithm" => {
                only(crypto, &["assetType", "algorithmProperties"]);
                let of = &crypto["algorithmProperties"];
                let fields = [
                    "primitive",
                    "parameterSetIdentifier",
                    "executionEnvironment",
                    "mode",
                    "cryptoFunctions",
                    "classicalSecurityLevel",
                    "nistQuantumSecurityLevel",
                ];
                only(of, &fields);
                one_of(&of["primitive"], &PRIMITIVES);
                let functions = of["cryptoFunctions"].as_array().unwrap();
                functions.iter().for_each(|word| one_of(word, &FUNCTIONS));
                assert!(of["nistQuantumSecurityLevel"].as_u64().unwrap() <= 6);
            }
            "protocol" => {
                only(crypto, &["assetType", "protocolProperties"]);
                let of = &crypto["protocolProperties"];
                only(of, &["type", "version", "cryptoRefArray"]);
                one_of(&of["type"], &["tls", "other"]);
                of["cryptoRefArray"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .for_each(refers);
            }
            "certificate" => {
                only(crypto, &["assetType", "certificateProperties"]);
                let of = &crypto["certificateProperties"];
                let fields = [
                    "subjectName",
                    "notValidBefore",
                    "notValidAfter",
                    "signatureAlgorithmRef",
                    "certificateFormat",
                ];
                only(of, &fields);
                date(&of["notValidBefore"]);
                date(&of["notValidAfter"]);
                refers(&of["signatureAlgorithmRef"]);
            }
            "related-crypto-material" => {
                only(crypto, &["assetType", "relatedCryptoMaterialProperties"]);
                material(&crypto["relatedCryptoMaterialProperties"], refers);
            }
            other => panic!("{other}"),
        }
    }

    fn material(of: &Value, refers: impl Fn(&Value)) {
        let fields = [
            "type",
            "id",
            "state",
            "algorithmRef",
            "creationDate",
            "activationDate",
            "updateDate",
            "expirationDate",
            "securedBy",
        ];
        only(of, &fields);
        one_of(&of["type"], &MATERIALS);
        one_of(&of["state"], &STATES);
        refers(&of["algorithmRef"]);
        for name in [
            "creationDate",
            "activationDate",
            "updateDate",
            "expirationDate",
        ] {
            date(&of[name]);
        }
        if of["securedBy"].is_object() {
            only(&of["securedBy"], &["mechanism", "algorithmRef"]);
            refers(&of["securedBy"]["algorithmRef"]);
        }
    }

    fn of_algorithm(name: &str, primitive: &str, parts: &[&str]) -> Algorithm {
        Algorithm {
            name: name.to_owned(),
            primitive: primitive.to_owned(),
            parameters: "1".to_owned(),
            standard: "a standard".to_owned(),
            classical_bits: 128,
            quantum_category: 3,
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
            uses: vec!["a use".to_owned()],
        }
    }

    fn of_key(kind: &str, state: &str, here: bool) -> Key {
        Key {
            key: kind.to_owned(),
            state: state.to_owned(),
            algorithm: "Ed25519".to_owned(),
            who: "somebody".to_owned(),
            account_id: None,
            device_id: Some("abcd".to_owned()),
            here,
            count: 2,
            created_at: Some(1_800_000_000),
            age_seconds: Some(1),
            changed_at: None,
            due_at: Some(1_800_000_100),
            expires_at: Some(1_800_000_200),
        }
    }

    #[test]
    fn a_document_keeps_the_rules_of_the_schema() {
        let of = Inventory {
            account_id: "a".to_owned(),
            device_id: "d".to_owned(),
            suite: "hybrid".to_owned(),
            at: 1_800_000_000,
        };
        let algorithms = [
            of_algorithm("Ed25519", "signature", &[]),
            of_algorithm("AES-256-CBC", "block-cipher", &[]),
            of_algorithm("Argon2id", "kdf", &[]),
            of_algorithm("TLS 1.3", "protocol", &["Ed25519"]),
            of_algorithm("A+B", "combiner", &["Ed25519", "Argon2id"]),
        ];
        let kinds = [
            "root",
            "recovery_sheet",
            "device_certificate",
            "profile",
            "sessions",
        ];
        let keys: Vec<Key> = STATES
            .iter()
            .flat_map(|state| kinds.map(|kind| of_key(kind, state, kind != "root")))
            .collect();
        let bom = document(&of, &algorithms, &keys);
        check(&bom);
        let text = bom.to_string();
        assert!(text.contains("\"mode\":\"cbc\""), "{text}");
        assert_eq!(bom["components"].as_array().unwrap().len(), 5 + 30);
        // What is not in use yet has no date from which it is.
        let waiting = bom["components"].as_array().unwrap();
        let waiting = waiting
            .iter()
            .map(|known| &known["cryptoProperties"]["relatedCryptoMaterialProperties"]);
        let mut waiting = waiting.filter(|of| of["state"] == "pre-activation");
        assert!(waiting.all(|of| of["activationDate"].is_null()));
    }
}
