//! Whole stories of people, a relay and a bad network.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a story that does not hold ends its test"
)]

#[path = "story/amendments.rs"]
mod amendments;
#[path = "story/bad_days.rs"]
mod bad_days;
#[path = "story/certificates.rs"]
mod certificates;
#[path = "story/cnsa2.rs"]
mod cnsa2;
#[path = "story/conspiracies.rs"]
mod conspiracies;
#[path = "story/crowds.rs"]
mod crowds;
#[path = "story/custody.rs"]
mod custody;
#[path = "story/days.rs"]
mod days;
#[path = "story/device_days.rs"]
mod device_days;
#[path = "story/device_lists.rs"]
mod device_lists;
#[path = "story/devices.rs"]
mod devices;
#[path = "story/group_days.rs"]
mod group_days;
#[path = "story/group_lies.rs"]
mod group_lies;
#[path = "story/group_rounds.rs"]
mod group_rounds;
#[path = "story/group_times.rs"]
mod group_times;
#[path = "story/groups.rs"]
mod groups;
#[path = "story/guardians.rs"]
mod guardians;
#[path = "story/history.rs"]
mod history;
#[path = "story/hostile_relay.rs"]
mod hostile_relay;
#[path = "story/linking.rs"]
mod linking;
#[path = "story/mixed.rs"]
mod mixed;
#[path = "story/pairs.rs"]
mod pairs;
#[path = "story/pictures.rs"]
mod pictures;
#[path = "story/recovery.rs"]
mod recovery;
#[path = "story/sealed_files.rs"]
mod sealed_files;
#[path = "story/signed_words.rs"]
mod signed_words;
#[path = "story/suites.rs"]
mod suites;
#[path = "story/suspension.rs"]
mod suspension;
#[path = "story/upgrades.rs"]
mod upgrades;
#[path = "story/vault_crowds.rs"]
mod vault_crowds;
#[path = "story/vault_heads.rs"]
mod vault_heads;
#[path = "story/vault_keys.rs"]
mod vault_keys;
#[path = "story/vault_recovery.rs"]
mod vault_recovery;
#[path = "story/vaults.rs"]
mod vaults;
#[path = "story/verifying.rs"]
mod verifying;

/// Letters as they are shown: all of one person.
fn from(who: &str, texts: &[&str]) -> Vec<(String, String)> {
    texts
        .iter()
        .map(|text| (who.to_owned(), (*text).to_owned()))
        .collect()
}
