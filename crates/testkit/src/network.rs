//! The network of a world: what is on its way, and when it arrives.
//!
//! A line is one connection. Frames of one lane of a line keep their order, as on TCP; lanes and lines overtake each
//! other. A line may break at any frame; then everything on its way is lost, and the driver begins a new one.

use crate::chance::Chance;
use crate::relay_model::LineId;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// How good the network is.
#[derive(Debug, Clone)]
pub struct Weather {
    /// How long a frame takes, in milliseconds.
    pub delay_ms: RangeInclusive<u64>,
    /// How many frames of a thousand find their line broken.
    pub breaks: u32,
    /// How many frames of a thousand to a client come twice.
    pub repeats: u32,
}

impl Weather {
    /// Short delays, nothing breaks.
    #[must_use]
    pub fn calm() -> Self {
        Self {
            delay_ms: 1..=20,
            breaks: 0,
            repeats: 0,
        }
    }

    /// Long delays, many lines break, much comes twice.
    #[must_use]
    pub fn storm() -> Self {
        Self {
            delay_ms: 1..=3_000,
            breaks: 60,
            repeats: 100,
        }
    }
}

/// What keeps its order on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// To the relay.
    Requests,
    /// Answers that wait for the relay's disk.
    Answers,
    /// Other answers, and bodies.
    Pushes,
}

/// What arrives.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A frame at the relay.
    AtRelay(Vec<u8>),
    /// A frame at the person.
    AtPerson(Vec<u8>),
    /// The person's end is gone.
    Closed,
    /// The line breaks here.
    Broken,
}

/// What is on its way.
pub(crate) struct Network {
    weather: Weather,
    on_its_way: BTreeMap<(u64, u64), (LineId, Arrival)>,
    latest: BTreeMap<(LineId, Lane), u64>,
    count: u64,
}

impl Network {
    pub(crate) fn new(weather: Weather) -> Self {
        Self {
            weather,
            on_its_way: BTreeMap::new(),
            latest: BTreeMap::new(),
            count: 0,
        }
    }

    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    pub(crate) fn delay(&self, chance: &mut Chance) -> u64 {
        chance.within(&self.weather.delay_ms)
    }

    /// Puts a frame on its way.
    pub(crate) fn send(
        &mut self,
        line: LineId,
        lane: Lane,
        arrival: Arrival,
        now_ms: u64,
        chance: &mut Chance,
    ) {
        let delay = self.delay(chance);
        let arrival = if chance.per_mille(self.weather.breaks) {
            Arrival::Broken
        } else {
            arrival
        };
        let repeat = match &arrival {
            Arrival::AtPerson(bytes) if chance.per_mille(self.weather.repeats) => {
                Some(bytes.clone())
            }
            _ => None,
        };
        let latest = self.latest.entry((line, lane)).or_insert(0);
        *latest = now_ms.saturating_add(delay).max(*latest);
        let at = *latest;
        self.put(at, line, arrival);
        if let Some(bytes) = repeat {
            self.put(at, line, Arrival::AtPerson(bytes));
        }
    }

    fn put(&mut self, at: u64, line: LineId, arrival: Arrival) {
        self.count = self.count.saturating_add(1);
        self.on_its_way.insert((at, self.count), (line, arrival));
    }

    /// Takes what arrives next, if it does by `until`, and says when.
    pub(crate) fn next(&mut self, until: u64) -> Option<(u64, LineId, Arrival)> {
        let first = self.on_its_way.first_entry()?;
        let (at, _) = *first.key();
        if at > until {
            return None;
        }
        let (line, arrival) = first.remove();
        Some((at, line, arrival))
    }

    /// Loses everything that is on its way on a line.
    pub(crate) fn cut(&mut self, line: LineId) {
        self.on_its_way.retain(|_, (other, _)| *other != line);
        self.latest.retain(|(other, _), _| *other != line);
    }
}
