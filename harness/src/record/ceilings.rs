//! Figures in relation to a ceiling's of the same run.

use measure::{BacklogPass, BrokerRun, StreamResult};
use std::collections::BTreeMap;

/// Puts every stream in relation to the byte pipe's, where one ran.
pub fn relate_to_ceiling(brokers: &mut [BrokerRun], ceiling_driver: &str) {
    let Some(ceiling) = brokers.iter().find(|broker| broker.driver == ceiling_driver) else {
        return;
    };
    let ceilings: BTreeMap<String, f64> =
        ceiling.streams.iter().map(|stream| (series(stream), stream.delivered_per_s)).collect();
    for stream in brokers.iter_mut().flat_map(|broker| &mut broker.streams) {
        stream.ratio_to_ceiling = ratio(&ceilings, &series(stream), stream.delivered_per_s);
    }
}

/// Puts acknowledgements and backlogs in relation to those of the disk alone, where it ran; only of
/// those who promise the same.
pub fn relate_to_disk(brokers: &mut [BrokerRun], disk_driver: &str) {
    let Some(disk) = brokers.iter_mut().find(|broker| broker.driver == disk_driver) else {
        return;
    };
    let guarantee = disk.guarantee;
    let ceilings: BTreeMap<String, f64> =
        disk_figures(disk).map(|(series, per_s, _)| (series, per_s)).collect();
    for broker in brokers.iter_mut().filter(|broker| broker.guarantee == guarantee) {
        for (series, per_s, related) in disk_figures(broker) {
            *related = ratio(&ceilings, &series, per_s);
        }
    }
}

fn ratio(ceilings: &BTreeMap<String, f64>, series: &str, per_s: f64) -> Option<f64> {
    ceilings.get(series).filter(|ceiling| **ceiling > 0.0).map(|ceiling| per_s / ceiling)
}

/// What streams of different brokers have in common: what was asked, and the rate at which it was
/// measured, which a search finds for each broker.
fn series(stream: &StreamResult) -> String {
    format!("{} {}", stream.label, stream.load)
}

/// Every figure that a disk has too: what it has in common with others, how many messages a second,
/// and where the ratio goes.
fn disk_figures(broker: &mut BrokerRun) -> impl Iterator<Item = (String, f64, &mut Option<f64>)> {
    let acks = broker.streams.iter_mut().filter_map(|stream| {
        let series = series(stream);
        let acks = stream.acknowledged.as_mut()?;
        Some((series, acks.per_s, &mut acks.ratio_to_disk))
    });
    let passes = broker.backlogs.iter_mut().flat_map(|backlog| {
        let pile = format!("{} {} {}", backlog.publishers, backlog.payload_bytes, backlog.messages);
        let build = of_pass(format!("{pile} build"), &mut backlog.build);
        let drains = backlog
            .drains
            .iter_mut()
            .map(move |drain| of_pass(format!("{pile} {}", drain.cache), &mut drain.pass));
        std::iter::once(build).chain(drains)
    });
    acks.chain(passes)
}

fn of_pass(series: String, pass: &mut BacklogPass) -> (String, f64, &mut Option<f64>) {
    (series, pass.per_s, &mut pass.ratio_to_disk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::plan::Plan;
    use crate::record::{BacklogRound, Measured, PassRound};
    use measure::{GuaranteeClass, HistogramSet};

    fn broker(driver: &str, guarantee: GuaranteeClass, duration_ns: u64) -> BrokerRun {
        let config = Config::parse(
            "name = \"r\"\n[[brokers]]\nname = \"d\"\ndriver = \"disk\"\n\
             [[backlogs]]\npayload_bytes = [16]\nmessages = 10\ndrains = [\"warm\"]\n",
        )
        .unwrap();
        let plan = Plan::of(&config).brokers.remove(0);
        let mut measured = Measured::of(&plan);
        let pass = PassRound { messages: 10, duration_ns, resident_bytes_max: None };
        let drains = vec![(pass, Default::default())];
        let round = BacklogRound { resident_bytes_before: None, build: pass, drains };
        measured.add_backlog(0, round);
        let mut run = measured.record(&plan, &mut HistogramSet::new());
        (run.driver, run.guarantee) = (driver.to_owned(), guarantee);
        run
    }

    #[test]
    fn backlogs_are_related_to_the_disk_where_the_promise_is_the_same() {
        let mut brokers = [
            broker("disk", GuaranteeClass::Synced, 100),
            broker("tandem-native", GuaranteeClass::Synced, 200),
            broker("tandem-native", GuaranteeClass::InMemory, 50),
        ];
        relate_to_disk(&mut brokers, "disk");
        let ratios: Vec<_> = brokers
            .iter()
            .map(|broker| {
                let backlog = &broker.backlogs[0];
                (backlog.build.ratio_to_disk, backlog.drains[0].pass.ratio_to_disk)
            })
            .collect();
        assert_eq!(ratios, [(Some(1.0), Some(1.0)), (Some(0.5), Some(0.5)), (None, None)]);
    }
}
