//! The load generator of the benchmark, for a second: what it counts is true.

use crate::load::{Flow, Load, Target, run};
use crate::support::House;
use letterlock_relay::inspect;
use std::time::Duration;

#[tokio::test]
async fn under_load_each_letter_is_accepted_delivered_and_acknowledged_once() {
    let gap = Duration::from_millis(5);
    for (tls, flow) in [(false, Flow::Closed(64)), (true, Flow::Open(gap))] {
        let house = House::with(|config| {
            config.rates.letters_of_queue = 1_000_000;
            if tls {
                config.listen = "0.0.0.0:0".parse().unwrap();
            }
        })
        .await;
        let port = house.address().port();
        let address = ([127, 0, 0, 1], port).into();
        let target = if tls {
            Target::tls(address)
        } else {
            Target::plain(address)
        };
        let load = Load {
            pairs: 4,
            flow,
            time: Duration::from_millis(500),
        };
        let report = run(&target, load).await;
        let letters = usize::try_from(report.letters).unwrap();
        assert!(letters >= 4, "at least one of each pair");
        assert_eq!(report.accepted_after.len(), letters);
        assert_eq!(report.delivered_after.len(), letters);
        assert!(!report.time.is_zero());
        let stored = inspect(house.data()).unwrap();
        let acknowledged: u64 = stored.queues.iter().map(|queue| queue.acknowledged).sum();
        assert_eq!(acknowledged, report.letters);
        assert!(stored.letters.is_empty());
    }
}
