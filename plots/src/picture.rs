//! A finished picture: as a stand-alone SVG, as part of a page, and as PNG.

use std::fmt::Write as _;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::palette::{dark_css, darkened};
use crate::{PlotsError, fonts};

/// PNGs have this many pixels for each of the picture's own, for sharp print and screens.
const PNG_SCALE: u32 = 2;

/// The coordinates within the drawing are this much finer than its pixels.
const UNITS_PER_PX: u32 = crate::canvas::UNITS_PER_PX as u32;

/// One drawn picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) finding: String,
    pub(crate) data: PictureData,
    pub(crate) width_px: u32,
    pub(crate) height_px: u32,
    pub(crate) elements: String,
}

/// Whether a picture had anything to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureData {
    /// Measurements.
    Shown,
    /// The run measured nothing of this kind, and the picture says so.
    Missing,
}

impl Picture {
    /// The name of its files, without extension, e.g. `throughput`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The heading drawn above it.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What it shows, in words, for those who cannot see it.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What it comes to, in a sentence or a few; empty where nothing can be said.
    #[must_use]
    pub fn finding(&self) -> &str {
        &self.finding
    }

    /// Whether it shows any measurement.
    #[must_use]
    pub fn data(&self) -> PictureData {
        self.data
    }

    /// Width and height in pixels, as the SVG is shown at its natural size.
    #[must_use]
    pub fn size_px(&self) -> (u32, u32) {
        (self.width_px, self.height_px)
    }

    /// A stand-alone SVG document, which turns dark where the reader prefers dark.
    #[must_use]
    pub fn svg(&self) -> String {
        let style = format!("<style>\n{}</style>\n", dark_css());
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", self.svg_element(&style))
    }

    /// An `<svg>` element to put into a page, which brings its own style sheet.
    pub(crate) fn inline_svg(&self) -> String {
        self.svg_element("")
    }

    /// The picture on white as PNG, at twice its natural size.
    ///
    /// # Errors
    /// [`PlotsError::Raster`] if the drawing cannot be turned into pixels.
    pub fn png(&self) -> Result<Vec<u8>, PlotsError> {
        // Without the style sheet: PNG readers have no preference that it could follow.
        self.rasterised(&self.svg_element(""))
    }

    /// As [`png`](Self::png), on dark paper.
    ///
    /// # Errors
    /// [`PlotsError::Raster`] if the drawing cannot be turned into pixels.
    pub fn dark_png(&self) -> Result<Vec<u8>, PlotsError> {
        self.rasterised(&darkened(&self.svg_element("")))
    }

    fn rasterised(&self, svg: &str) -> Result<Vec<u8>, PlotsError> {
        let failed = |reason: &dyn ToString| PlotsError::Raster {
            picture: self.name.clone(),
            reason: reason.to_string(),
        };
        let options = Options { fontdb: fonts::database(), ..Options::default() };
        let tree = Tree::from_str(svg, &options).map_err(|e| failed(&e))?;
        let (width, height) = (self.width_px * PNG_SCALE, self.height_px * PNG_SCALE);
        let mut pixmap =
            Pixmap::new(width, height).ok_or_else(|| failed(&"the picture has no area"))?;
        let scale = PNG_SCALE as f32;
        let mut pixels = pixmap.as_mut();
        resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels);
        encode_png(&pixmap).map_err(|e| failed(&e))
    }

    fn svg_element(&self, style: &str) -> String {
        let Self { width_px, height_px, .. } = self;
        let name = escaped(&self.name);
        let mut svg = String::with_capacity(self.elements.len() + 1024);
        write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width_px}\" \
             height=\"{height_px}\" viewBox=\"0 0 {} {}\" role=\"img\" \
             aria-labelledby=\"{name}-title {name}-description\">\n\
             <title id=\"{name}-title\">{}</title>\n\
             <desc id=\"{name}-description\">{}</desc>\n\
             {style}{}</svg>\n",
            width_px * UNITS_PER_PX,
            height_px * UNITS_PER_PX,
            escaped(&self.title),
            escaped(format!("{} {}", self.finding, self.description).trim()),
            self.elements,
        )
        .expect("writing to a string cannot fail");
        svg
    }
}

/// The background is opaque, so the alpha channel can be left out.
fn encode_png(pixmap: &Pixmap) -> Result<Vec<u8>, png::EncodingError> {
    let rgb: Vec<u8> = pixmap
        .pixels()
        .iter()
        .flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()])
        .collect();
    let mut encoded = Vec::new();
    let mut encoder = png::Encoder::new(&mut encoded, pixmap.width(), pixmap.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&rgb)?;
    writer.finish()?;
    Ok(encoded)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
