//! The surface that pictures are drawn on: plotters' SVG backend, addressed in pixels.

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::{
    Circle, DrawingArea, IntoDrawingArea, PathElement, Polygon, Rectangle, SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color as _, FontDesc, FontFamily, FontStyle, FontTransform, ShapeStyle, TextStyle,
};

use crate::fonts;
use crate::palette::{AXIS, Color, Marker, PAPER, SeriesStyle, Stroke};

/// Plotters rounds to whole units; this many to a pixel keep curves smooth.
pub(crate) const UNITS_PER_PX: f64 = 10.0;

/// Plotters divides font sizes by this on their way into SVG.
const FONT_SIZE_SCALE: f64 = 1.24;

const MARKER_RADIUS_PX: f64 = 3.6;

/// The length of a stroke's pieces, and of the gaps between them.
const DASHES_PX: (f64, f64) = (5.0, 3.5);
const DOTS_PX: (f64, f64) = (1.8, 2.2);

/// From one line of a hatched area to the next.
const HATCH_PX: f64 = 6.0;

/// Drawing writes into a string that nobody else holds, and so cannot fail.
const INFALLIBLE: &str = "drawing into a string cannot fail";

/// A rectangle in pixels from the picture's upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Frame {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Frame {
    pub(crate) fn right(&self) -> f64 {
        self.left + self.width
    }

    pub(crate) fn bottom(&self) -> f64 {
        self.top + self.height
    }
}

/// How a line of text looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lettering {
    pub(crate) size_px: f64,
    pub(crate) color: Color,
    pub(crate) weight: Weight,
    /// Which end of the text lies at its position.
    pub(crate) anchor: Anchor,
    pub(crate) turn: Turn,
}

impl Lettering {
    pub(crate) const fn new(size_px: f64, color: Color) -> Self {
        Self { size_px, color, weight: Weight::Regular, anchor: Anchor::Start, turn: Turn::Level }
    }

    pub(crate) const fn bold(mut self) -> Self {
        self.weight = Weight::Bold;
        self
    }

    pub(crate) const fn anchored(mut self, anchor: Anchor) -> Self {
        self.anchor = anchor;
        self
    }

    pub(crate) const fn upward(mut self) -> Self {
        self.turn = Turn::Upward;
        self
    }

    /// The same, as plotters takes it; for axis labels, which plotters places.
    pub(crate) fn text_style(self) -> TextStyle<'static> {
        fonts::register();
        let style = match self.weight {
            Weight::Regular => FontStyle::Normal,
            Weight::Bold => FontStyle::Bold,
        };
        let size = self.size_px * UNITS_PER_PX * FONT_SIZE_SCALE;
        let font = FontDesc::new(FontFamily::SansSerif, size, style);
        let font = match self.turn {
            Turn::Level => font,
            Turn::Upward => font.transform(FontTransform::Rotate270),
        };
        let horizontal = match self.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        TextStyle {
            font,
            color: self.color.rgb().to_backend_color(),
            pos: Pos::new(horizontal, VPos::Center),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Level,
    Upward,
}

/// A picture in the making.
pub(crate) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
}

impl<'a> Canvas<'a> {
    /// Lets `draw` fill a picture of the given size, and returns its SVG elements.
    pub(crate) fn draw(width_px: u32, height_px: u32, draw: impl FnOnce(&Canvas<'_>)) -> String {
        let size = (units(f64::from(width_px)) as u32, units(f64::from(height_px)) as u32);
        let mut document = String::new();
        {
            let canvas =
                Canvas { area: SVGBackend::with_string(&mut document, size).into_drawing_area() };
            canvas.area.fill(&PAPER.rgb()).expect(INFALLIBLE);
            draw(&canvas);
            canvas.area.present().expect(INFALLIBLE);
        }
        elements_of(&document).to_owned()
    }

    /// The part of the surface within `frame`, for plotters' charts.
    pub(crate) fn part(&self, frame: Frame) -> DrawingArea<SVGBackend<'a>, Shift> {
        self.area.clone().shrink(
            (units(frame.left), units(frame.top)),
            (units(frame.width), units(frame.height)),
        )
    }

    /// One line of text, centred vertically on `top`.
    pub(crate) fn text(&self, content: &str, left: f64, top: f64, lettering: Lettering) {
        let at = (units(left), units(top));
        let text = Text::new(content.to_owned(), at, lettering.text_style());
        self.area.draw(&text).expect(INFALLIBLE);
    }

    /// How wide a text will be, a little rounded up.
    pub(crate) fn text_width(content: &str, lettering: Lettering) -> f64 {
        let ((left, _), (right, _)) = lettering
            .text_style()
            .font
            .layout_box(content)
            .expect("the embedded font is registered whenever a text style is made");
        f64::from(right - left) / UNITS_PER_PX
    }

    /// The text, with its end cut off where it would be wider.
    pub(crate) fn fitted(content: &str, width_px: f64, lettering: Lettering) -> String {
        let fits = |text: &str| Self::text_width(text, lettering) <= width_px;
        if fits(content) {
            return content.to_owned();
        }
        let ends = content.char_indices().map(|(at, _)| at).rev();
        let mut cut = ends.map(|end| format!("{}…", content[..end].trim_end()));
        cut.find(|text| fits(text)).unwrap_or_default()
    }

    pub(crate) fn fill(&self, frame: Frame, color: Color, opacity: f64) {
        let corners =
            [(units(frame.left), units(frame.top)), (units(frame.right()), units(frame.bottom()))];
        let style = color.rgb().mix(opacity).filled();
        self.area.draw(&Rectangle::new(corners, style)).expect(INFALLIBLE);
    }

    pub(crate) fn polygon(&self, points: &[(f64, f64)], color: Color, opacity: f64) {
        let points: Vec<_> = points.iter().map(in_units).collect();
        let style = color.rgb().mix(opacity).filled();
        self.area.draw(&Polygon::new(points, style)).expect(INFALLIBLE);
    }

    pub(crate) fn line(&self, points: &[(f64, f64)], color: Color, width_px: f64, stroke: Stroke) {
        let points: Vec<_> = points.iter().map(in_units).collect();
        let style = stroke_style(color, width_px);
        let (piece_px, gap_px) = match stroke {
            Stroke::Solid => {
                return self.area.draw(&PathElement::new(points, style)).expect(INFALLIBLE);
            }
            Stroke::Dashed => DASHES_PX,
            Stroke::Dotted => DOTS_PX,
        };
        let pieces = DashedPathElement::new(points, units(piece_px), units(gap_px), style);
        self.area.draw(&pieces).expect(INFALLIBLE);
    }

    /// Fills a frame with slanted lines within an outline: what is drawn so does not count.
    pub(crate) fn hatch(&self, frame: Frame, color: Color) {
        let (left, right, top, bottom) = (frame.left, frame.right(), frame.top, frame.bottom());
        let outline = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        self.line(&outline, color, 1.0, Stroke::Solid);
        // Each line rises from the lower edge to the right, cut off at the frame.
        let steps = ((frame.width + frame.height) / HATCH_PX) as u32;
        for foot in (1..=steps).map(|step| left + f64::from(step) * HATCH_PX - frame.height) {
            let from = if foot < left { (left, bottom - (left - foot)) } else { (foot, bottom) };
            let head = foot + frame.height;
            let to = if head > right { (right, top + (head - right)) } else { (head, top) };
            self.line(&[from, to], color, 1.0, Stroke::Solid);
        }
    }

    /// The marker of a series, centred on a point.
    pub(crate) fn marker(&self, left: f64, top: f64, series: &SeriesStyle) {
        let radius = MARKER_RADIUS_PX;
        let at = |dx: f64, dy: f64| (left + dx * radius, top + dy * radius);
        let color = series.color;
        match series.marker {
            Marker::Circle => {
                let circle =
                    Circle::new((units(left), units(top)), units(radius), color.rgb().filled());
                self.area.draw(&circle).expect(INFALLIBLE);
            }
            Marker::Square => self.polygon(
                &[at(-0.9, -0.9), at(0.9, -0.9), at(0.9, 0.9), at(-0.9, 0.9)],
                color,
                1.0,
            ),
            Marker::Triangle => {
                self.polygon(&[at(0.0, -1.2), at(1.1, 0.8), at(-1.1, 0.8)], color, 1.0);
            }
            Marker::Diamond => self.polygon(
                &[at(0.0, -1.3), at(1.3, 0.0), at(0.0, 1.3), at(-1.3, 0.0)],
                color,
                1.0,
            ),
            Marker::TriangleDown => {
                self.polygon(&[at(0.0, 1.2), at(1.1, -0.8), at(-1.1, -0.8)], color, 1.0);
            }
            Marker::Cross => {
                self.line(&[at(-0.9, -0.9), at(0.9, 0.9)], color, 1.6, Stroke::Solid);
                self.line(&[at(-0.9, 0.9), at(0.9, -0.9)], color, 1.6, Stroke::Solid);
            }
            Marker::None => {}
            Marker::Patch => {
                let (width, height) = (radius * 6.0, radius * 3.4);
                let (left, top) = (left - width / 2.0, top - height / 2.0);
                self.fill(Frame { left, top, width, height }, color, 1.0);
                let (right, bottom) = (left + width, top + height);
                let outline =
                    [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
                self.line(&outline, AXIS, 0.8, Stroke::Solid);
            }
            Marker::Plus => {
                self.line(&[at(-1.1, 0.0), at(1.1, 0.0)], color, 1.6, Stroke::Solid);
                self.line(&[at(0.0, -1.1), at(0.0, 1.1)], color, 1.6, Stroke::Solid);
            }
        }
    }
}

/// The units that plotters counts in, for a length in pixels.
pub(crate) fn units(px: f64) -> i32 {
    (px * UNITS_PER_PX).round() as i32
}

pub(crate) fn stroke_style(color: Color, width_px: f64) -> ShapeStyle {
    color.rgb().stroke_width(units(width_px) as u32)
}

fn in_units((left, top): &(f64, f64)) -> (i32, i32) {
    (units(*left), units(*top))
}

/// What stands between the opening and the closing tag that plotters wrote.
fn elements_of(document: &str) -> &str {
    let (_, after_opening) =
        document.split_once(">\n").expect("plotters begins with the svg element's opening tag");
    after_opening
        .trim_end()
        .strip_suffix("</svg>")
        .expect("plotters ends with the svg element's closing tag")
}
