//! The page of a picture: heading, legend, and a grid of charts.

use crate::bar_chart::BarChart;
use crate::canvas::{Canvas, Frame, Lettering};
use crate::forest_chart::ForestChart;
use crate::line_chart::{Foot, LineChart};
use crate::palette::{INK, MUTED, Marker, SeriesStyle};
use crate::picture::{Picture, PictureData};

const WIDTH_PX: u32 = 960;
const MARGIN_PX: f64 = 20.0;
const HEADING_PX: f64 = 52.0;
const LEGEND_ROW_PX: f64 = 22.0;
const LEGEND_GAP_PX: f64 = 14.0;
const SWATCH_PX: f64 = 26.0;
const COLUMN_GAP_PX: f64 = 28.0;
const ROW_GAP_PX: f64 = 26.0;
/// Between charts that share the axis below them.
const PANEL_GAP_PX: f64 = 8.0;
const EMPTY_HEIGHT_PX: f64 = 60.0;

const TITLE: Lettering = Lettering::new(17.0, INK).bold();
const SUBTITLE: Lettering = Lettering::new(12.0, MUTED);
const LEGEND: Lettering = Lettering::new(12.0, INK);
const MESSAGE: Lettering = Lettering::new(13.0, MUTED);

/// A picture's content, before it is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) subtitle: String,
    /// What the picture shows, for those who cannot see it.
    pub(crate) description: String,
    /// What it comes to, in a sentence or a few; empty where nothing can be said.
    pub(crate) finding: String,
    pub(crate) legend: Vec<SeriesStyle>,
    pub(crate) columns: usize,
    pub(crate) charts: Vec<Chart>,
    /// Shown in place of the charts if there are none.
    pub(crate) without_charts: &'static str,
}

/// One chart of the grid.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Chart {
    /// Lines, in a plot of the given height.
    Lines(f64, Box<LineChart>),
    /// Bars, as high as they need.
    Bars(BarChart),
    /// Ratios with their intervals, as high as they need.
    Forest(ForestChart),
}

impl Chart {
    pub(crate) fn lines(plot_height_px: f64, chart: LineChart) -> Self {
        Self::Lines(plot_height_px, Box::new(chart))
    }

    fn height_px(&self, width_px: f64) -> f64 {
        match self {
            Self::Lines(plot_height_px, chart) => chart.height_px(*plot_height_px, width_px),
            Self::Bars(chart) => chart.height_px(),
            Self::Forest(chart) => chart.height_px(),
        }
    }

    /// Whether the chart below has the horizontal axis of this one.
    fn is_continued(&self) -> bool {
        matches!(self, Self::Lines(_, chart) if chart.foot == Foot::Shared)
    }

    fn draw(&self, canvas: &Canvas<'_>, frame: Frame) {
        match self {
            Self::Lines(_, chart) => chart.draw(canvas, frame),
            Self::Bars(chart) => chart.draw(canvas, frame),
            Self::Forest(chart) => chart.draw(canvas, frame),
        }
    }
}

impl Figure {
    /// Draws everything.
    pub(crate) fn picture(&self) -> Picture {
        let legend = self.legend_places();
        let legend_rows = legend.last().map_or(0, |place| place.row + 1);
        let charts_top = if legend_rows > 0 {
            HEADING_PX + MARGIN_PX + LEGEND_ROW_PX * legend_rows as f64 + LEGEND_GAP_PX
        } else {
            HEADING_PX + MARGIN_PX
        };
        let (frames, bottom) = self.chart_frames(charts_top);
        let height_px = (bottom + MARGIN_PX).ceil() as u32;
        let elements = Canvas::draw(WIDTH_PX, height_px, |canvas| {
            canvas.text(&self.title, MARGIN_PX, MARGIN_PX + 8.0, TITLE);
            canvas.text(&self.subtitle, MARGIN_PX, MARGIN_PX + 31.0, SUBTITLE);
            for (series, place) in self.legend.iter().zip(&legend) {
                draw_legend_entry(canvas, series, place);
            }
            if self.charts.is_empty() {
                canvas.text(self.without_charts, MARGIN_PX, charts_top + 12.0, MESSAGE);
            }
            for (chart, frame) in self.charts.iter().zip(&frames) {
                chart.draw(canvas, *frame);
            }
        });
        Picture {
            name: self.name.to_owned(),
            title: self.title.clone(),
            description: self.description.clone(),
            finding: self.finding.clone(),
            data: if self.charts.is_empty() { PictureData::Missing } else { PictureData::Shown },
            width_px: WIDTH_PX,
            height_px,
            elements,
        }
    }

    /// Entries run from left to right, and into further rows as needed.
    fn legend_places(&self) -> Vec<LegendPlace> {
        let right_end = f64::from(WIDTH_PX) - MARGIN_PX;
        let (mut left, mut row) = (MARGIN_PX, 0);
        self.legend
            .iter()
            .map(|series| {
                let width = SWATCH_PX + 6.0 + Canvas::text_width(&series.name, LEGEND) + 18.0;
                if left + width > right_end && left > MARGIN_PX {
                    left = MARGIN_PX;
                    row += 1;
                }
                let place = LegendPlace { left, row };
                left += width;
                place
            })
            .collect()
    }

    /// The frame of every chart, and the lower end of the last row.
    fn chart_frames(&self, top: f64) -> (Vec<Frame>, f64) {
        if self.charts.is_empty() {
            return (vec![], top + EMPTY_HEIGHT_PX);
        }
        let columns = self.columns.max(1);
        let width = column_width_px(columns);
        let mut frames = Vec::with_capacity(self.charts.len());
        let (mut row_top, mut bottom) = (top, top);
        for row in self.charts.chunks(columns) {
            for (column, chart) in row.iter().enumerate() {
                frames.push(Frame {
                    left: MARGIN_PX + column as f64 * (width + COLUMN_GAP_PX),
                    top: row_top,
                    width,
                    height: chart.height_px(width),
                });
            }
            let row_height = row.iter().map(|chart| chart.height_px(width)).fold(0.0, f64::max);
            bottom = row_top + row_height;
            let gap_px =
                if row.iter().all(Chart::is_continued) { PANEL_GAP_PX } else { ROW_GAP_PX };
            row_top = bottom + gap_px;
        }
        (frames, bottom)
    }
}

/// How wide a chart is if this many stand beside each other.
pub(crate) fn column_width_px(columns: usize) -> f64 {
    let gaps = COLUMN_GAP_PX * columns.saturating_sub(1) as f64;
    (f64::from(WIDTH_PX) - 2.0 * MARGIN_PX - gaps) / columns.max(1) as f64
}

struct LegendPlace {
    left: f64,
    row: usize,
}

fn draw_legend_entry(canvas: &Canvas<'_>, series: &SeriesStyle, place: &LegendPlace) {
    let middle = HEADING_PX + MARGIN_PX + LEGEND_ROW_PX * (place.row as f64 + 0.5);
    let swatch = [(place.left, middle), (place.left + SWATCH_PX, middle)];
    if series.marker != Marker::Patch {
        canvas.line(&swatch, series.color, 1.8, series.stroke);
    }
    canvas.marker(place.left + SWATCH_PX / 2.0, middle, series);
    canvas.text(&series.name, place.left + SWATCH_PX + 6.0, middle, LEGEND);
}
