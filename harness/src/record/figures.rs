//! What was measured, for objectives to look at.

use crate::objectives::{Figure, Figures, LatencyKind, Metric, Percentile};
use measure::{
    HistogramSet, HistogramTag, IdleResult, Latency, OperationResult, OutageResult, Standing,
    StormResult, StreamResult, Verdict,
};

/// A stream's figures.
pub(crate) struct StreamFigures<'a> {
    pub(crate) result: &'a StreamResult,
    pub(crate) histograms: &'a HistogramSet,
}

/// An operation's figures; its latency is the response, from the request to the answer.
pub(super) struct OperationFigures<'a> {
    pub(super) result: &'a OperationResult,
    pub(super) histograms: &'a HistogramSet,
}

/// A storm's figures.
pub(super) struct StormFigures<'a> {
    pub(super) result: &'a StormResult,
    pub(super) histograms: &'a HistogramSet,
}

/// The figures of connections at rest.
pub(super) struct IdleFigures<'a>(pub(super) &'a IdleResult);

/// An outage's figures.
pub(super) struct OutageFigures<'a>(pub(super) &'a OutageResult);

impl Figures for StreamFigures<'_> {
    fn figure(&self, figure: Figure) -> Result<f64, String> {
        let stream = self.result;
        is_believable(&stream.verdict)?;
        let metric = match figure {
            Figure::Latency(kind, percentile) => {
                is_sustainable(&stream.verdict)?;
                let latencies = &stream.latencies;
                let latency = match kind {
                    LatencyKind::Response => latencies.response.as_ref(),
                    LatencyKind::Service => latencies.service.as_ref(),
                    LatencyKind::Acknowledgement => latencies.acknowledgement.as_ref(),
                    LatencyKind::Lateness => latencies.lateness.as_ref(),
                    LatencyKind::HealthyResponse => latencies.healthy_response.as_ref(),
                    LatencyKind::Handshake => None,
                };
                return percentile_of(latency.map(tag), percentile, self.histograms);
            }
            Figure::Metric(metric) => metric,
        };
        let used = stream.resources.as_ref();
        let observed = match metric {
            Metric::Lost => Some(stream.lost as f64),
            Metric::Duplicated => Some(stream.duplicated as f64),
            Metric::Reordered => Some(stream.reordered as f64),
            Metric::Corrupted => Some(stream.corrupted as f64),
            Metric::Late => Some(stream.late as f64),
            Metric::LateSends => Some(stream.late_sends as f64),
            Metric::DeliveredPerS => Some(stream.delivered_per_s),
            Metric::SentPerS => Some(stream.sent_per_s),
            Metric::AcknowledgedPerS => stream.acknowledged.as_ref().map(|acks| acks.per_s),
            Metric::CpuUsPerDelivery => used.and_then(|used| used.cpu_us_per_delivery),
            Metric::ResidentBytes => used.map(|used| used.resident_bytes_max as f64),
            Metric::RatioToCeiling => stream.ratio_to_ceiling,
            _ => None,
        };
        observed.ok_or_else(|| no_such(metric))
    }
}

impl Figures for OperationFigures<'_> {
    fn figure(&self, figure: Figure) -> Result<f64, String> {
        let operation = self.result;
        is_believable(&operation.verdict)?;
        let used = operation.resources.as_ref();
        match figure {
            Figure::Latency(LatencyKind::Response, percentile) => {
                percentile_of(Some(&operation.histogram), percentile, self.histograms)
            }
            Figure::Latency(kind, _) => Err(format!("operations have no {}", kind.name())),
            Figure::Metric(metric) => {
                let observed = match metric {
                    Metric::ThroughputPerS => Some(operation.throughput_per_s),
                    Metric::CpuUsPerOperation => used.and_then(|used| used.cpu_us_per_delivery),
                    Metric::ResidentBytes => used.map(|used| used.resident_bytes_max as f64),
                    _ => None,
                };
                observed.ok_or_else(|| no_such(metric))
            }
        }
    }
}

impl Figures for StormFigures<'_> {
    fn figure(&self, figure: Figure) -> Result<f64, String> {
        let storm = self.result;
        is_believable(&storm.verdict)?;
        match figure {
            Figure::Latency(LatencyKind::Handshake, percentile) => {
                percentile_of(Some(tag(&storm.handshake)), percentile, self.histograms)
            }
            Figure::Latency(kind, _) => Err(format!("storms have no {}", kind.name())),
            Figure::Metric(Metric::Refused) => Ok(f64::from(storm.refused)),
            Figure::Metric(Metric::ResidentBytes) => {
                let used = storm.resources.as_ref().map(|used| used.resident_bytes_max as f64);
                used.ok_or_else(|| no_such(Metric::ResidentBytes))
            }
            Figure::Metric(metric) => Err(no_such(metric)),
        }
    }
}

impl Figures for IdleFigures<'_> {
    fn figure(&self, figure: Figure) -> Result<f64, String> {
        match figure {
            Figure::Metric(Metric::BytesPerConnection) => Ok(self.0.bytes_per_connection),
            Figure::Metric(Metric::Dropped) => Ok(f64::from(self.0.dropped)),
            Figure::Metric(Metric::ResidentBytes) => Ok(self.0.resident_after_bytes as f64),
            other => Err(format!("connections at rest have no {other}")),
        }
    }
}

impl Figures for OutageFigures<'_> {
    fn figure(&self, figure: Figure) -> Result<f64, String> {
        let ms = |ns: u64| ns as f64 / 1e6;
        match figure {
            Figure::Metric(Metric::Lost) => Ok(self.0.lost as f64),
            Figure::Metric(Metric::Duplicated) => Ok(self.0.duplicated as f64),
            Figure::Metric(Metric::Reordered) => Ok(self.0.reordered as f64),
            Figure::Metric(Metric::Corrupted) => Ok(self.0.corrupted as f64),
            Figure::Metric(Metric::ReadyMs) => Ok(ms(self.0.ready_ns)),
            Figure::Metric(Metric::RecoveredMs) => {
                let recovered = self.0.recovered_ns.map(ms);
                recovered.ok_or_else(|| "nothing was delivered after the outage".to_owned())
            }
            other => Err(format!("outages have no {other}")),
        }
    }
}

fn tag(latency: &Latency) -> &HistogramTag {
    &latency.histogram
}

/// By the rule that enough samples lie beyond it.
fn percentile_of(
    tag: Option<&HistogramTag>,
    percentile: Percentile,
    histograms: &HistogramSet,
) -> Result<f64, String> {
    let histogram = tag.and_then(|tag| histograms.histogram(tag));
    let Some(histogram) = histogram else { return Err("it was not recorded".to_owned()) };
    let observed = match percentile == Percentile::MAX {
        true => histogram.max_ns(),
        false => histogram.percentile_ns(percentile.percent()),
    };
    let too_few = || format!("{} samples are too few to tell {percentile} by", histogram.count());
    observed.map(|ns| ns as f64).ok_or_else(too_few)
}

fn is_believable(verdict: &Verdict) -> Result<(), String> {
    match verdict.standing {
        Standing::Invalid => Err("the measurement is invalid".to_owned()),
        Standing::Valid | Standing::Suspect | Standing::Unsustainable => Ok(()),
    }
}

fn is_sustainable(verdict: &Verdict) -> Result<(), String> {
    match verdict.standing {
        Standing::Unsustainable => {
            Err("the backlog only grew, so latencies tell how long it was measured".to_owned())
        }
        Standing::Valid | Standing::Suspect | Standing::Invalid => Ok(()),
    }
}

fn no_such(metric: Metric) -> String {
    format!("{} was not measured here", metric.name())
}
