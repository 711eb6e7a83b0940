//! A chart of lines over two axes: title, mesh, bands, areas, lines and markers.

use std::ops::Range;

use plotters::prelude::ChartBuilder;

use crate::axis::Axis;
use crate::canvas::{Anchor, Canvas, Frame, Lettering, Turn, stroke_style, units};
use crate::palette::{AXIS, BAND, Color, GRID, INK, MUTED, PAPER, SeriesStyle, Stroke};

const TITLE: Lettering = Lettering::new(13.0, INK).bold();
const AXIS_NAME: Lettering = Lettering::new(11.0, MUTED);
const TICK_LABEL: Lettering = Lettering::new(10.5, MUTED);
const BAND_LABEL: Lettering = Lettering::new(9.5, MUTED);
const UPRIGHT_LABEL: Lettering = Lettering::new(10.5, INK).bold();
const MESSAGE: Lettering = Lettering::new(11.5, MUTED).anchored(Anchor::Middle);

const TITLE_PX: f64 = 20.0;
const AXIS_NAME_ABOVE_PX: f64 = 22.0;
/// Names of bands that run upwards stay at least this far apart.
const UPWARD_LABEL_PX: f64 = 11.0;
const LEVEL_LABEL_PX: f64 = 13.0;
/// A name leaves this much of its band free.
const LABEL_MARGIN_PX: f64 = 4.0;
const TICK_LABELS_LEFT_PX: f64 = 54.0;
const TICK_LABELS_BELOW_PX: f64 = 20.0;
const AXIS_NAME_BELOW_PX: f64 = 16.0;
const RIGHT_MARGIN_PX: f64 = 10.0;

const LINE_WIDTH_PX: f64 = 1.8;

/// A chart's content.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LineChart {
    pub(crate) title: String,
    pub(crate) across: Axis,
    pub(crate) across_name: &'static str,
    pub(crate) up: Axis,
    pub(crate) up_name: String,
    pub(crate) bands: Vec<Band>,
    pub(crate) areas: Vec<Area>,
    /// Coloured rectangles under everything else.
    pub(crate) cells: Vec<HeatCell>,
    pub(crate) lines: Vec<Line>,
    /// Values across that matter, with names.
    pub(crate) uprights: Vec<Upright>,
    pub(crate) foot: Foot,
    /// Shown in place of axes and lines if there are no lines.
    pub(crate) without_lines: &'static str,
}

/// What stands below a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foot {
    /// The horizontal axis's labels and name.
    Labelled,
    /// Nothing: a chart with the same horizontal axis stands there.
    Shared,
}

impl Foot {
    fn labels_px(self) -> f64 {
        match self {
            Self::Labelled => TICK_LABELS_BELOW_PX,
            Self::Shared => 0.0,
        }
    }

    fn name_px(self) -> f64 {
        match self {
            Self::Labelled => AXIS_NAME_BELOW_PX,
            Self::Shared => 0.0,
        }
    }
}

/// A line upwards through the whole chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Upright {
    pub(crate) across: f64,
    pub(crate) label: String,
    pub(crate) color: Color,
}

/// A coloured rectangle between values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeatCell {
    pub(crate) across: Range<f64>,
    pub(crate) up: Range<f64>,
    pub(crate) color: Color,
}

/// A stretch of the horizontal axis with a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Band {
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) label: String,
}

/// The room between the horizontal axis and a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Area {
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) color: Color,
    pub(crate) opacity: f64,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) points: Vec<(f64, f64)>,
    /// The points that get a marker.
    pub(crate) marked: Vec<(f64, f64)>,
    pub(crate) series: SeriesStyle,
}

impl LineChart {
    /// How high the whole chart is, `width_px` wide and around a plot of the given height.
    pub(crate) fn height_px(&self, plot_height_px: f64, width_px: f64) -> f64 {
        self.head_px(width_px) + plot_height_px + self.foot.labels_px() + self.foot.name_px()
    }

    pub(crate) fn draw(&self, canvas: &Canvas<'_>, frame: Frame) {
        let fitted = |text: &str, lettering| Canvas::fitted(text, frame.width, lettering);
        canvas.text(&fitted(&self.title, TITLE), frame.left, frame.top + 8.0, TITLE);
        let up_name = fitted(&self.up_name, AXIS_NAME);
        canvas.text(&up_name, frame.left, frame.top + self.title_px() + 7.0, AXIS_NAME);
        let plot = self.plot_frame(frame);
        if self.cells.is_empty() && self.lines.iter().all(|line| line.points.is_empty()) {
            let (middle, top) = (plot.left + plot.width / 2.0, plot.top + plot.height / 2.0);
            canvas.text(self.without_lines, middle, top, MESSAGE);
            return;
        }
        self.draw_bands(canvas, plot);
        self.draw_cells(canvas, plot);
        self.draw_mesh(canvas, frame);
        if self.foot == Foot::Labelled {
            let name = AXIS_NAME.anchored(Anchor::Middle);
            let below = frame.bottom() - AXIS_NAME_BELOW_PX / 2.0;
            canvas.text(self.across_name, plot.left + plot.width / 2.0, below, name);
        }
        self.draw_uprights(canvas, plot);
        self.draw_series(canvas, plot);
    }

    fn title_px(&self) -> f64 {
        if self.title.is_empty() { 0.0 } else { TITLE_PX }
    }

    /// The room above the plot: title, name of the vertical axis, and names of bands and uprights.
    fn head_px(&self, width_px: f64) -> f64 {
        let axis_name_px = if self.up_name.is_empty() { 0.0 } else { AXIS_NAME_ABOVE_PX };
        let band_names = self.band_names(plot_width_px(width_px));
        let band_names_px = band_names.iter().map(BandName::height_px).fold(0.0, f64::max);
        let upright_names_px =
            upright_rows(&self.upright_names(plot_width_px(width_px))) as f64 * LEVEL_LABEL_PX;
        self.title_px() + axis_name_px + band_names_px + upright_names_px
    }

    /// Where the mesh ends up within the chart's frame; the same sums as in `draw_mesh`.
    fn plot_frame(&self, frame: Frame) -> Frame {
        let head_px = self.head_px(frame.width);
        Frame {
            left: frame.left + TICK_LABELS_LEFT_PX,
            top: frame.top + head_px,
            width: plot_width_px(frame.width),
            height: frame.height - head_px - self.foot.labels_px() - self.foot.name_px(),
        }
    }

    /// The two ends of a band, in pixels from the left end of the plot.
    fn band_ends(&self, band: &Band, plot_width_px: f64) -> (f64, f64) {
        let place = |value: f64| plot_width_px * self.across.position(value).clamp(0.0, 1.0);
        (place(band.start), place(band.end))
    }

    /// The names of bands above the plot: upwards where their band is narrow, and left out where
    /// even that has no room.
    fn band_names(&self, plot_width_px: f64) -> Vec<BandName<'_>> {
        let mut free_from = f64::NEG_INFINITY;
        let mut names = Vec::new();
        for band in &self.bands {
            let (left, right) = self.band_ends(band, plot_width_px);
            let text_px = Canvas::text_width(&band.label, BAND_LABEL);
            if text_px + LABEL_MARGIN_PX <= right - left {
                names.push(BandName { label: &band.label, left: left + 1.0, turn: Turn::Level });
                continue;
            }
            let centred = left + (UPWARD_LABEL_PX / 2.0).max((right - left) / 2.0);
            let middle = centred.max(free_from);
            if middle <= right.max(centred) {
                names.push(BandName { label: &band.label, left: middle, turn: Turn::Upward });
                free_from = middle + UPWARD_LABEL_PX;
            }
        }
        names
    }

    /// Shades every other band, and names them all.
    fn draw_bands(&self, canvas: &Canvas<'_>, plot: Frame) {
        for band in self.bands.iter().step_by(2) {
            let (left, right) = self.band_ends(band, plot.width);
            let shade = Frame { left: plot.left + left, width: right - left, ..plot };
            canvas.fill(shade, BAND, 1.0);
        }
        for name in self.band_names(plot.width) {
            let (left, above) = (plot.left + name.left, plot.top - LABEL_MARGIN_PX);
            match name.turn {
                Turn::Level => canvas.text(name.label, left, above - 4.0, BAND_LABEL),
                Turn::Upward => canvas.text(name.label, left, above, BAND_LABEL.upward()),
            }
        }
    }

    fn draw_mesh(&self, canvas: &Canvas<'_>, frame: Frame) {
        let part = canvas.part(frame);
        let mut chart = ChartBuilder::on(&part)
            .margin_top(units(self.head_px(frame.width)))
            .margin_right(units(RIGHT_MARGIN_PX))
            .margin_bottom(units(self.foot.name_px()))
            .x_label_area_size(units(self.foot.labels_px()))
            .y_label_area_size(units(TICK_LABELS_LEFT_PX))
            .build_cartesian_2d(self.across.clone(), self.up.clone())
            .expect("laying out a chart in a string cannot fail");
        chart
            .configure_mesh()
            .bold_line_style(stroke_style(GRID, 1.0))
            .light_line_style(stroke_style(GRID, 0.4))
            .axis_style(stroke_style(AXIS, 1.0))
            .label_style(TICK_LABEL.text_style())
            .set_all_tick_mark_size(units(4.0))
            .draw()
            .expect("drawing into a string cannot fail");
    }

    /// Edges lie on whole pixels: neighbours would show a seam otherwise.
    fn draw_cells(&self, canvas: &Canvas<'_>, plot: Frame) {
        for cell in &self.cells {
            let across = |value| (plot.left + plot.width * self.across.position(value)).round();
            let up = |value| (plot.bottom() - plot.height * self.up.position(value)).round();
            let (left, top) = (across(cell.across.start), up(cell.up.end).max(plot.top));
            let (width, height) = (across(cell.across.end) - left, up(cell.up.start) - top);
            if width > 0.0 && height > 0.0 {
                canvas.fill(Frame { left, top, width, height }, cell.color, 1.0);
            }
        }
    }

    /// The names of uprights above the plot, in as many rows as keep them apart.
    fn upright_names(&self, plot_width_px: f64) -> Vec<UprightName<'_>> {
        let place = |upright: &Upright| plot_width_px * self.across.position(upright.across);
        let mut uprights: Vec<&Upright> = self.uprights.iter().collect();
        uprights.sort_by(|a, b| place(a).total_cmp(&place(b)));
        let mut rows_right_px: Vec<f64> = Vec::new();
        let names = uprights.into_iter().map(|upright| {
            let width = Canvas::text_width(&upright.label, UPRIGHT_LABEL) + LABEL_MARGIN_PX;
            let left_max = (plot_width_px - width).max(0.0);
            let left = (place(upright) - width / 2.0).clamp(0.0, left_max);
            let free = rows_right_px.iter().position(|right| *right <= left);
            let row = free.unwrap_or(rows_right_px.len());
            rows_right_px.resize(rows_right_px.len().max(row + 1), 0.0);
            rows_right_px[row] = left + width;
            UprightName { upright, left, width, row }
        });
        names.collect()
    }

    /// Lines reach up to their names. Names come last, on paper of their own: the line of a name in
    /// a higher row passes behind those below it.
    fn draw_uprights(&self, canvas: &Canvas<'_>, plot: Frame) {
        let names = self.upright_names(plot.width);
        let top = |row: usize| plot.top - LEVEL_LABEL_PX * (row as f64 + 1.0);
        for UprightName { upright, row, .. } in &names {
            let across = plot.left + plot.width * self.across.position(upright.across);
            let ends = [(across, top(*row) + LEVEL_LABEL_PX), (across, plot.bottom())];
            canvas.line(&ends, upright.color, 1.2, Stroke::Dashed);
        }
        for UprightName { upright, left, width, row } in &names {
            let (left, top, height) = (plot.left + left, top(*row), LEVEL_LABEL_PX);
            canvas.fill(Frame { left, top, width: *width, height }, PAPER, 1.0);
            let name = Lettering { color: upright.color, ..UPRIGHT_LABEL };
            let middle = top + height / 2.0;
            canvas.text(&upright.label, left + LABEL_MARGIN_PX / 2.0, middle, name);
        }
    }

    fn draw_series(&self, canvas: &Canvas<'_>, plot: Frame) {
        let place = |(across, up): &(f64, f64)| {
            (
                plot.left + plot.width * self.across.position(*across),
                plot.bottom() - plot.height * self.up.position(*up),
            )
        };
        for area in &self.areas {
            let (Some(first), Some(last)) = (area.points.first(), area.points.last()) else {
                continue;
            };
            let mut outline: Vec<_> = area.points.iter().map(place).collect();
            outline.push((place(last).0, plot.bottom()));
            outline.push((place(first).0, plot.bottom()));
            canvas.polygon(&outline, area.color, area.opacity);
        }
        // The first series is drawn last: where lines cover each other, it stays visible.
        for line in self.lines.iter().rev() {
            let points: Vec<_> = line.points.iter().map(place).collect();
            if points.len() > 1 {
                let Line { series, .. } = line;
                canvas.line(&points, series.color, LINE_WIDTH_PX, series.stroke);
            }
            for (left, top) in line.marked.iter().map(place) {
                canvas.marker(left, top, &line.series);
            }
        }
    }
}

/// The name of an upright: where it begins, from the left end of the plot, and in which row above
/// the plot it stands, 0 being the lowest.
struct UprightName<'a> {
    upright: &'a Upright,
    left: f64,
    width: f64,
    row: usize,
}

fn upright_rows(names: &[UprightName<'_>]) -> usize {
    names.iter().map(|name| name.row + 1).max().unwrap_or(0)
}

/// A band's name and where it stands, from the left end of the plot.
struct BandName<'a> {
    label: &'a str,
    left: f64,
    turn: Turn,
}

impl BandName<'_> {
    fn height_px(&self) -> f64 {
        match self.turn {
            Turn::Level => LEVEL_LABEL_PX,
            Turn::Upward => Canvas::text_width(self.label, BAND_LABEL) + LABEL_MARGIN_PX,
        }
    }
}

fn plot_width_px(chart_width_px: f64) -> f64 {
    chart_width_px - TICK_LABELS_LEFT_PX - RIGHT_MARGIN_PX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Quantity;

    #[test]
    fn names_of_uprights_stand_in_rows_that_keep_them_apart() {
        let upright = |across| Upright { across, label: "1.00 M/s".to_owned(), color: INK };
        let chart = LineChart {
            title: String::new(),
            across: Axis::until(100.0, Quantity::Rate),
            across_name: "",
            up: Axis::until(1.0, Quantity::Rate),
            up_name: String::new(),
            bands: vec![],
            areas: vec![],
            cells: vec![],
            lines: vec![],
            uprights: [51.0, 50.0, 90.0, 100.0, 52.0].map(upright).to_vec(),
            foot: Foot::Labelled,
            without_lines: "",
        };
        let names = chart.upright_names(600.0);
        let rows: Vec<_> = names.iter().map(|name| (name.upright.across, name.row)).collect();
        assert_eq!(rows, [(50.0, 0), (51.0, 1), (52.0, 2), (90.0, 0), (100.0, 1)]);
        assert!(names.iter().all(|name| name.left >= 0.0 && name.left + name.width <= 600.0));
    }
}
