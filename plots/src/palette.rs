//! Colours and markers: Okabe and Ito's colour-blind safe hues, and what they become in the dark.

use std::collections::HashMap;
use std::fmt::Write as _;

use measure::{BrokerKind, GuaranteeClass, RunRecord};
use plotters::style::RGBColor;

use crate::promises::Promises;

/// One colour on light paper, and its counterpart on dark.
///
/// Pictures are drawn in the light one; a style sheet that selects elements by that very colour
/// replaces it in the dark. So no two colours share a light value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Color {
    light: u32,
    dark: u32,
}

impl Color {
    const fn new(light: u32, dark: u32) -> Self {
        Self { light, dark }
    }

    /// The light value, as plotters takes it.
    pub(crate) fn rgb(self) -> RGBColor {
        let [_, red, green, blue] = self.light.to_be_bytes();
        RGBColor(red, green, blue)
    }
}

pub(crate) const PAPER: Color = Color::new(0xFFFFFF, 0x161B22);
pub(crate) const INK: Color = Color::new(0x1F2328, 0xE6EAEF);
pub(crate) const MUTED: Color = Color::new(0x59636E, 0x9DA7B3);
pub(crate) const GRID: Color = Color::new(0xE1E5EA, 0x30363D);
pub(crate) const AXIS: Color = Color::new(0x9AA3AD, 0x6E7681);
pub(crate) const BAND: Color = Color::new(0xF5F7F9, 0x1D232B);
pub(crate) const FAULT: Color = Color::new(0xB42318, 0xFF8A7A);
pub(crate) const BETTER: Color = Color::new(0x1A7F37, 0x3FB950);
pub(crate) const NOISE: Color = Color::new(0xDCE3EC, 0x39424E);

/// What is not a broker or a ceiling.
const ROLES: [Color; 9] = [PAPER, INK, MUTED, GRID, AXIS, BAND, FAULT, BETTER, NOISE];

/// From few to many samples: lightness runs one way, so that it reads without hue, and away from the
/// paper in the light as in the dark.
pub(crate) const HEAT: [Color; 8] = [
    Color::new(0xD9E7F4, 0x25394F),
    Color::new(0xBDD6EB, 0x2B4A70),
    Color::new(0x98C0E0, 0x335D90),
    Color::new(0x6FA8D6, 0x4073AF),
    Color::new(0x4289C4, 0x578CC7),
    Color::new(0x2468A9, 0x7CAEDD),
    Color::new(0x134A85, 0xABD0F0),
    Color::new(0x0A2F5C, 0xDDEFFC),
];

/// The dark value of every colour, by its light one.
fn all() -> impl Iterator<Item = Color> {
    ROLES.into_iter().chain(BROKER_COLORS).chain(CEILING_COLORS).chain(HEAT)
}

/// Drawn elements with every colour replaced by its dark value, for pictures that cannot follow the
/// reader's preference.
pub(crate) fn darkened(elements: &str) -> String {
    let dark: HashMap<String, u32> =
        all().map(|color| (format!("{:06X}", color.light), color.dark)).collect();
    let mut parts = elements.split("=\"#");
    let mut darkened = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        darkened.push_str("=\"#");
        match part.get(..6).and_then(|light| dark.get(light)) {
            Some(dark) => {
                write!(darkened, "{dark:06X}{}", &part[6..])
                    .expect("writing to a string cannot fail");
            }
            None => darkened.push_str(part),
        }
    }
    darkened
}

/// Brokers, in the order they appear. Yellow is left out: it cannot be seen on white.
const BROKER_COLORS: [Color; 6] = [
    Color::new(0x0072B2, 0x4C9BE8),
    Color::new(0xD55E00, 0xF0813A),
    Color::new(0x009E73, 0x2EBD92),
    Color::new(0xCC79A7, 0xDE96BF),
    Color::new(0xE69F00, 0xF2B632),
    Color::new(0x56B4E9, 0x8FD3FA),
];

/// Ceilings are bounds and not contestants, hence grey.
const CEILING_COLORS: [Color; 2] = [Color::new(0x6B737C, 0xA9B1BA), Color::new(0x9BA1A8, 0x7B838C)];

const BROKER_MARKERS: [Marker; 5] =
    [Marker::Circle, Marker::Square, Marker::Triangle, Marker::Diamond, Marker::TriangleDown];

const CEILING_MARKERS: [Marker; 2] = [Marker::Cross, Marker::Plus];

/// The shape at each measured point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marker {
    Circle,
    Square,
    Triangle,
    Diamond,
    TriangleDown,
    Cross,
    Plus,
    /// None: for entries of a legend that explain strokes.
    None,
    /// A filled rectangle: for entries of a legend that explain areas.
    Patch,
}

/// How a line is stroked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stroke {
    Solid,
    Dashed,
    Dotted,
}

/// How one broker looks, the same in every picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeriesStyle {
    pub(crate) name: String,
    pub(crate) color: Color,
    pub(crate) marker: Marker,
    pub(crate) stroke: Stroke,
    /// Whom it competes with: brokers of the same guarantee; ceilings with nobody.
    pub(crate) class: Option<GuaranteeClass>,
}

impl SeriesStyle {
    /// An entry of a legend that explains a way of drawing.
    pub(crate) fn explaining(name: &str, color: Color, marker: Marker, stroke: Stroke) -> Self {
        Self { name: name.to_owned(), color, marker, stroke, class: None }
    }
}

/// The look of every broker of a run, in the run's order. Where brokers promise different things,
/// each one's name says what.
pub(crate) fn series_styles(record: &RunRecord) -> Vec<SeriesStyle> {
    let promises = Promises::of(record);
    let (mut brokers, mut ceilings) = (0, 0);
    record
        .brokers
        .iter()
        .map(|broker| match broker.kind {
            BrokerKind::Broker => {
                brokers += 1;
                SeriesStyle {
                    class: Some(broker.guarantee),
                    ..broker_style(&promises.name(broker), brokers - 1)
                }
            }
            BrokerKind::Ceiling => {
                ceilings += 1;
                ceiling_style(&broker.name, ceilings - 1)
            }
        })
        .collect()
}

/// Five markers against six colours: the pairs repeat only after thirty brokers. Where a colour is
/// used again, dots tell its line from the first.
fn broker_style(name: &str, index: usize) -> SeriesStyle {
    SeriesStyle {
        name: name.to_owned(),
        color: BROKER_COLORS[index % BROKER_COLORS.len()],
        marker: BROKER_MARKERS[index % BROKER_MARKERS.len()],
        stroke: if index < BROKER_COLORS.len() { Stroke::Solid } else { Stroke::Dotted },
        class: None,
    }
}

fn ceiling_style(name: &str, index: usize) -> SeriesStyle {
    SeriesStyle {
        name: name.to_owned(),
        color: CEILING_COLORS[index % CEILING_COLORS.len()],
        marker: CEILING_MARKERS[index % CEILING_MARKERS.len()],
        stroke: Stroke::Dashed,
        class: None,
    }
}

/// CSS that gives stand-alone drawings their dark colours where the reader prefers dark.
pub(crate) fn dark_css() -> String {
    let mut css = String::from("@media (prefers-color-scheme: dark) {\n");
    for Color { light, dark } in all() {
        writeln!(
            css,
            "  svg [fill=\"#{light:06X}\"] {{ fill: #{dark:06X}; }}\n  \
             svg [stroke=\"#{light:06X}\"] {{ stroke: #{dark:06X}; }}"
        )
        .expect("writing to a string cannot fail");
    }
    css.push_str("}\n");
    css
}

/// CSS that gives drawings within a page the colours of the page's colour scheme, which the reader
/// may choose.
pub(crate) fn scheme_css() -> String {
    let mut css = String::from("@supports (color: light-dark(#000, #fff)) {\n");
    for Color { light, dark } in all() {
        let pair = format!("light-dark(#{light:06X}, #{dark:06X})");
        writeln!(
            css,
            "  svg [fill=\"#{light:06X}\"] {{ fill: {pair}; }}\n  \
             svg [stroke=\"#{light:06X}\"] {{ stroke: {pair}; }}"
        )
        .expect("writing to a string cannot fail");
    }
    css.push_str("}\n");
    css
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_colours_share_a_light_value() {
        let all: Vec<_> = all().collect();
        let distinct: HashSet<_> = all.iter().map(|color| color.light).collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn drawings_are_darkened_colour_by_colour() {
        let light = r##"<a fill="#FFFFFF"/><b stroke="#0072B2" fill="none"/><c fill="#123456"/>"##;
        let dark = r##"<a fill="#161B22"/><b stroke="#4C9BE8" fill="none"/><c fill="#123456"/>"##;
        assert_eq!(darkened(light), dark);
    }

    #[test]
    fn thirty_brokers_all_look_different() {
        let looks: Vec<_> = (0..30).map(|index| broker_style("synthetic", index)).collect();
        for (index, look) in looks.iter().enumerate() {
            assert!(!looks[..index].contains(look), "broker {index} looks like an earlier one");
        }
    }
}
