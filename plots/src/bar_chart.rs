//! A chart of horizontal bars, one for each broker, with what they measure written beside them.

use measure::Standing;

use crate::canvas::{Anchor, Canvas, Frame, Lettering};
use crate::palette::{AXIS, FAULT, INK, MUTED, SeriesStyle, Stroke};
use crate::series::standing_label;

const TITLE: Lettering = Lettering::new(13.0, INK).bold();
const HEADING: Lettering = Lettering::new(10.5, MUTED);
const NAME: Lettering = Lettering::new(11.5, INK);
const VALUE: Lettering = Lettering::new(11.0, INK);
const NOTE: Lettering = Lettering::new(10.0, FAULT);
const RATIO: Lettering = Lettering::new(11.5, INK).bold();

const HEAD_PX: f64 = 42.0;
const ROW_PX: f64 = 24.0;
const BAR_PX: f64 = 15.0;
/// What a row is higher by with its name above the bar.
const NAME_ABOVE_PX: f64 = 14.0;
const GAP_PX: f64 = 8.0;
const RATIO_COLUMN_PX: f64 = 66.0;

/// A chart's content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BarChart {
    pub(crate) title: String,
    pub(crate) length_name: &'static str,
    pub(crate) ratio_name: &'static str,
    pub(crate) bars: Vec<Bar>,
    pub(crate) names: Names,
}

/// Where the names of the bars stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// In a column at the left.
    Beside,
    /// Each above its bar, for names that would leave the bars no room.
    Above,
}

/// One broker's bar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    pub(crate) series: SeriesStyle,
    pub(crate) length: f64,
    pub(crate) length_label: String,
    pub(crate) ratio_label: String,
    /// What takes away from the length, e.g. lost messages.
    pub(crate) note: Option<String>,
    /// Whether the length may be believed; if it may not be ranked, the bar is hatched.
    pub(crate) standing: Standing,
}

impl Bar {
    /// Its standing, if that is not good, and its note.
    fn remark(&self) -> String {
        let standing = standing_label(self.standing).map(str::to_owned);
        standing.into_iter().chain(self.note.clone()).collect::<Vec<_>>().join(", ")
    }
}

impl BarChart {
    pub(crate) fn height_px(&self) -> f64 {
        HEAD_PX + self.row_px() * self.bars.len() as f64 + GAP_PX
    }

    fn row_px(&self) -> f64 {
        match self.names {
            Names::Beside => ROW_PX,
            Names::Above => ROW_PX + NAME_ABOVE_PX,
        }
    }

    /// How long the longest bar can be in a chart of the given width, beside all that is written.
    /// Below zero if not even the text has room.
    pub(crate) fn bar_width_max(&self, width_px: f64) -> f64 {
        width_px - self.names_width_px() - self.labels_width_px() - RATIO_COLUMN_PX - GAP_PX
    }

    pub(crate) fn draw(&self, canvas: &Canvas<'_>, frame: Frame) {
        let bars_left = frame.left + self.names_width_px();
        let ratios_right = frame.right();
        let bar_width_max = self.bar_width_max(frame.width);
        let length_max = self.bars.iter().map(|bar| bar.length).fold(0.0, f64::max);

        let title = Canvas::fitted(&self.title, frame.width, TITLE);
        canvas.text(&title, frame.left, frame.top + 8.0, TITLE);
        canvas.text(self.length_name, bars_left, frame.top + 30.0, HEADING);
        let ratio_heading = HEADING.anchored(Anchor::End);
        canvas.text(self.ratio_name, ratios_right, frame.top + 30.0, ratio_heading);
        for (row, bar) in self.bars.iter().enumerate() {
            let row_top = frame.top + HEAD_PX + self.row_px() * row as f64;
            let middle = row_top + self.row_px() - ROW_PX / 2.0;
            let share = if length_max > 0.0 { bar.length / length_max } else { 0.0 };
            let length_px = (bar_width_max * share).max(0.0);
            draw_bar(canvas, bar, bars_left, middle, length_px);
            let name = &bar.series.name;
            match self.names {
                Names::Beside => {
                    canvas.text(name, bars_left - GAP_PX, middle, NAME.anchored(Anchor::End));
                }
                Names::Above => {
                    let name = Canvas::fitted(name, frame.width, NAME);
                    canvas.text(&name, frame.left, row_top + NAME_ABOVE_PX / 2.0 + 1.0, NAME);
                }
            }
            canvas.text(&bar.ratio_label, ratios_right, middle, RATIO.anchored(Anchor::End));
        }
        if self.names == Names::Beside {
            let rows_bottom = frame.top + HEAD_PX + ROW_PX * self.bars.len() as f64;
            let baseline = [(bars_left, frame.top + HEAD_PX), (bars_left, rows_bottom)];
            canvas.line(&baseline, AXIS, 1.0, Stroke::Solid);
        }
    }

    fn widest(&self, text: impl Fn(&Bar) -> String, lettering: Lettering) -> f64 {
        self.bars.iter().map(|bar| Canvas::text_width(&text(bar), lettering)).fold(0.0, f64::max)
    }

    fn names_width_px(&self) -> f64 {
        match self.names {
            Names::Beside => self.widest(|bar| bar.series.name.clone(), NAME) + GAP_PX,
            Names::Above => 0.0,
        }
    }

    fn labels_width_px(&self) -> f64 {
        let values = self.widest(|bar| bar.length_label.clone(), VALUE);
        let notes = self.widest(Bar::remark, NOTE);
        let gap_before_note = if notes > 0.0 { GAP_PX } else { 0.0 };
        values + gap_before_note + notes + GAP_PX
    }
}

fn draw_bar(canvas: &Canvas<'_>, bar: &Bar, left: f64, middle: f64, length_px: f64) {
    let body = Frame { left, top: middle - BAR_PX / 2.0, width: length_px, height: BAR_PX };
    match bar.standing.may_be_ranked() {
        true => canvas.fill(body, bar.series.color, 1.0),
        false => canvas.hatch(body, bar.series.color),
    }
    let label_left = body.right() + GAP_PX * 0.75;
    canvas.text(&bar.length_label, label_left, middle, VALUE);
    let remark = bar.remark();
    if !remark.is_empty() {
        let note_left = label_left + Canvas::text_width(&bar.length_label, VALUE) + GAP_PX;
        canvas.text(&remark, note_left, middle, NOTE);
    }
}
