//! What a relay stores, as its operator reads it.

use crate::render;
use crate::{text, time};
use relay::InspectReport;
use serde::Serialize;
use std::fmt::Write as _;

#[derive(Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
enum Line<'r> {
    Relay {
        relay_id: &'r str,
        store_version: u64,
        accounts: usize,
        queues: usize,
        letters: usize,
        blobs: usize,
        groups: usize,
        one_time_pre_keys: u64,
        key_packages: u64,
        tickets: u64,
    },
    Released {
        name: &'r str,
        now: &'r str,
    },
    StoredAccount(&'r relay::Account),
    StoredQueue(&'r relay::Queue),
    StoredLetter(&'r relay::LetterRow),
    StoredBlob(&'r relay::BlobRow),
    StoredGroup(&'r relay::GroupRow),
}

/// The report as lines of JSON.
pub(crate) fn for_programs(report: &InspectReport) -> Vec<String> {
    let first = Line::Relay {
        relay_id: &report.relay_id,
        store_version: report.store_version,
        accounts: report.accounts.len(),
        queues: report.queues.len(),
        letters: report.letters.len(),
        blobs: report.blobs.len(),
        groups: report.groups.len(),
        one_time_pre_keys: report.one_time_pre_keys,
        key_packages: report.key_packages,
        tickets: report.tickets,
    };
    std::iter::once(first)
        .chain(report.accounts.iter().map(Line::StoredAccount))
        .chain(report.queues.iter().map(Line::StoredQueue))
        .chain(report.letters.iter().map(Line::StoredLetter))
        .chain(report.blobs.iter().map(Line::StoredBlob))
        .chain(report.groups.iter().map(Line::StoredGroup))
        .map(|line| render::json(&line))
        .collect()
}

/// A name that is free, and what its account is called now, as a line of JSON.
pub(crate) fn released(name: &str, now: &str) -> String {
    render::json(&Line::Released { name, now })
}

/// The report for people: a table each of accounts, queues, letters, blobs and groups.
pub(crate) fn for_people(report: &InspectReport) -> String {
    let mut shown = format!("relay {}\n", text::line(&report.relay_id));
    heading(&mut shown, report.accounts.len(), "account");
    for account in &report.accounts {
        let (name, log) = (text::line(&account.name), text::bytes(account.log_bytes));
        let id = text::line(&account.account_id);
        row(
            &mut shown,
            account.hour,
            &format!("{name:<16} log {log:<8} {id}"),
        );
    }
    heading(&mut shown, report.queues.len(), "queue");
    for queue in &report.queues {
        let id = text::line(&queue.queue_id);
        let (waiting, past) = (queue.waiting, queue.acknowledged);
        row(
            &mut shown,
            queue.hour,
            &format!("{id}  {waiting} waiting, {past} fetched and deleted"),
        );
    }
    heading(&mut shown, report.letters.len(), "waiting letter");
    for letter in &report.letters {
        let (id, size) = (text::line(&letter.queue_id), text::bytes(letter.bucket));
        row(
            &mut shown,
            letter.hour,
            &format!("{id}  number {}, {size}", letter.seq),
        );
    }
    heading(&mut shown, report.blobs.len(), "blob");
    for blob in &report.blobs {
        let (id, size) = (text::line(&blob.blob_id), text::bytes(blob.bytes));
        let state = if blob.complete { "whole" } else { "under way" };
        row(&mut shown, blob.hour, &format!("{id}  {size}, {state}"));
    }
    heading(&mut shown, report.groups.len(), "group");
    for group in &report.groups {
        let (id, epoch) = (text::line(&group.group_id), group.epoch);
        row(&mut shown, group.hour, &format!("{id}  epoch {epoch}"));
    }
    let keys = text::count(report.one_time_pre_keys, "one-time pre-key");
    let packages = text::count(report.key_packages, "key package");
    let tickets = text::count(report.tickets, "invite ticket");
    let _ = writeln!(shown, "{keys}, {packages}, {tickets}");
    shown
}

fn heading(shown: &mut String, number: usize, noun: &str) {
    let _ = writeln!(shown, "{}", text::count(number as u64, noun));
}

fn row(shown: &mut String, hour: u64, what: &str) {
    let _ = writeln!(shown, "  {}  {what}", time::local(hour));
}
