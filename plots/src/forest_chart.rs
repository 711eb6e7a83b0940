//! A forest plot: a ratio and its interval in each row, over the range that is only noise.

use crate::canvas::{Anchor, Canvas, Frame, Lettering};
use crate::palette::{AXIS, GRID, INK, MUTED, NOISE, SeriesStyle, Stroke};

const TITLE: Lettering = Lettering::new(13.0, INK).bold();
const NAME: Lettering = Lettering::new(11.5, INK);
const FIGURE: Lettering = Lettering::new(11.0, INK);
const NOTE: Lettering = Lettering::new(10.5, MUTED);
const TICK: Lettering = Lettering::new(10.5, MUTED);

const HEAD_PX: f64 = 30.0;
const ROW_PX: f64 = 22.0;
const NOISE_PX: f64 = 16.0;
const TICKS_PX: f64 = 22.0;
const GAP_PX: f64 = 10.0;
const NAMES_PX: f64 = 150.0;
const FIGURES_PX: f64 = 270.0;
const INTERVAL_WIDTH_PX: f64 = 2.0;

/// Labels of ticks stay at least this fraction of the axis apart.
const TICK_GAP_MIN: f64 = 0.075;

/// Ratios beyond these are drawn at the edge; the figures beside them say what they are.
const RATIO_SHOWN_MAX: f64 = 5.0;

/// However alike both sides are, the axis shows at least from −1/11 to +10 %.
const RATIO_SHOWN_MIN: f64 = 1.1;

/// The changes that ticks may stand at, in percent; those nearer to none come first.
const TICKS_PERCENT: [f64; 19] = [
    0.0, 10.0, -10.0, 100.0, -50.0, 20.0, -20.0, 50.0, -33.0, 5.0, -5.0, 200.0, -67.0, 300.0,
    -75.0, 2.0, -2.0, 1.0, -1.0,
];

/// A chart's content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ForestChart {
    pub(crate) title: String,
    pub(crate) scale: ForestScale,
    pub(crate) rows: Vec<ForestRow>,
}

/// One ratio, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ForestRow {
    pub(crate) name: String,
    pub(crate) mark: Option<ForestMark>,
    /// What stands at the right: the ratio in words, or what is to be said instead.
    pub(crate) figure: String,
}

/// A ratio with its interval and its noise.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ForestMark {
    pub(crate) ratio: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// At least 1: from its inverse to this there is only noise.
    pub(crate) noise_ratio: f64,
    pub(crate) series: SeriesStyle,
}

/// A logarithmic axis of ratios with 1 in its middle: as much more lies as far from it as as much
/// less.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ForestScale {
    /// The logarithm of the largest ratio shown.
    half: f64,
}

impl ForestScale {
    /// Wide enough for all of the marks, within limits.
    pub(crate) fn of<'a>(marks: impl Iterator<Item = &'a ForestMark>) -> Self {
        let furthest = marks
            .flat_map(|mark| [mark.ratio, mark.low, mark.high, mark.noise_ratio])
            .filter(|ratio| ratio.is_finite() && *ratio > 0.0)
            .map(|ratio| ratio.ln().abs())
            .fold(0.0, f64::max);
        Self { half: (furthest * 1.05).clamp(RATIO_SHOWN_MIN.ln(), RATIO_SHOWN_MAX.ln()) }
    }

    /// Where a ratio lies, from 0 at the left to 1 at the right; at the edge if beyond.
    fn position(self, ratio: f64) -> f64 {
        let half = ratio.max(f64::MIN_POSITIVE).ln() / (2.0 * self.half);
        (0.5 + half).clamp(0.0, 1.0)
    }

    /// Changes in percent, with room between them.
    fn ticks(self) -> Vec<(f64, f64)> {
        let mut ticks: Vec<(f64, f64)> = Vec::new();
        for percent in TICKS_PERCENT {
            let position = self.position(1.0 + percent / 100.0);
            let has_room = ticks.iter().all(|(_, at)| (at - position).abs() >= TICK_GAP_MIN);
            if has_room && position > 0.0 && position < 1.0 {
                ticks.push((percent, position));
            }
        }
        ticks
    }
}

impl ForestChart {
    pub(crate) fn height_px(&self) -> f64 {
        HEAD_PX + ROW_PX * self.rows.len() as f64 + TICKS_PX
    }

    pub(crate) fn draw(&self, canvas: &Canvas<'_>, frame: Frame) {
        let plot = Frame {
            left: frame.left + NAMES_PX,
            top: frame.top + HEAD_PX,
            width: frame.width - NAMES_PX - FIGURES_PX,
            height: ROW_PX * self.rows.len() as f64,
        };
        canvas.text(&self.title, frame.left, frame.top + 10.0, TITLE);
        let middles: Vec<f64> =
            (0..self.rows.len()).map(|row| plot.top + ROW_PX * (row as f64 + 0.5)).collect();
        for (row, middle) in self.rows.iter().zip(&middles) {
            self.draw_noise(canvas, row, plot, *middle);
        }
        self.draw_ticks(canvas, plot);
        for (row, middle) in self.rows.iter().zip(&middles) {
            canvas.text(&row.name, plot.left - GAP_PX, *middle, NAME.anchored(Anchor::End));
            let lettering = if row.mark.is_some() { FIGURE } else { NOTE };
            canvas.text(&row.figure, plot.right() + GAP_PX, *middle, lettering);
            if let Some(mark) = &row.mark {
                self.draw_mark(canvas, mark, plot, *middle);
            }
        }
    }

    fn at(&self, plot: Frame, ratio: f64) -> f64 {
        plot.left + plot.width * self.scale.position(ratio)
    }

    fn draw_noise(&self, canvas: &Canvas<'_>, row: &ForestRow, plot: Frame, middle: f64) {
        let Some(mark) = &row.mark else { return };
        let left = self.at(plot, 1.0 / mark.noise_ratio);
        let width = (self.at(plot, mark.noise_ratio) - left).max(1.0);
        let band = Frame { left, top: middle - NOISE_PX / 2.0, width, height: NOISE_PX };
        canvas.fill(band, NOISE, 1.0);
    }

    fn draw_ticks(&self, canvas: &Canvas<'_>, plot: Frame) {
        for (percent, position) in self.scale.ticks() {
            let at = plot.left + plot.width * position;
            let color = if percent == 0.0 { AXIS } else { GRID };
            canvas.line(&[(at, plot.top), (at, plot.bottom())], color, 1.0, Stroke::Solid);
            let label = match percent {
                0.0 => "same".to_owned(),
                percent => format!("{percent:+} %").replace('-', "−"),
            };
            canvas.text(&label, at, plot.bottom() + 10.0, TICK.anchored(Anchor::Middle));
        }
    }

    fn draw_mark(&self, canvas: &Canvas<'_>, mark: &ForestMark, plot: Frame, middle: f64) {
        let ends = [(self.at(plot, mark.low), middle), (self.at(plot, mark.high), middle)];
        canvas.line(&ends, mark.series.color, INTERVAL_WIDTH_PX, Stroke::Solid);
        canvas.marker(self.at(plot, mark.ratio), middle, &mark.series);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(furthest: f64) -> ForestScale {
        ForestScale { half: furthest.ln() }
    }

    #[test]
    fn twice_as_much_and_half_lie_equally_far_from_the_middle() {
        let scale = scale(4.0);
        assert_eq!(scale.position(1.0), 0.5);
        assert!((scale.position(2.0) - 0.75).abs() < 1e-12);
        assert!((scale.position(0.5) - 0.25).abs() < 1e-12);
        assert_eq!((scale.position(100.0), scale.position(0.0)), (1.0, 0.0));
    }

    #[test]
    fn ticks_have_room_and_include_no_change() {
        for furthest in [1.1, 1.5, 3.0, 5.0] {
            let mut ticks = scale(furthest).ticks();
            assert_eq!(ticks[0], (0.0, 0.5));
            assert!(ticks.len() >= 3, "{ticks:?}");
            ticks.sort_by(|left, right| left.1.total_cmp(&right.1));
            assert!(ticks.windows(2).all(|pair| pair[1].1 - pair[0].1 >= TICK_GAP_MIN));
        }
    }

    #[test]
    fn nothing_to_show_still_makes_an_axis() {
        assert_eq!(ForestScale::of([].into_iter()), scale(RATIO_SHOWN_MIN));
    }
}
