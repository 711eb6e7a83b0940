//! The embedded font, DejaVu Sans: pictures come out the same on a machine without any fonts.

use std::sync::{Arc, LazyLock, Once};

use plotters::style::{FontStyle, register_font};
use resvg::usvg::fontdb::Database;

/// The family that drawings ask for; a browser substitutes its own.
const FAMILY: &str = "sans-serif";

/// Makes the font known to plotters, which measures text with it. Cheap after the first call.
pub(crate) fn register() {
    static REGISTERED: Once = Once::new();
    REGISTERED.call_once(|| {
        for (style, font) in
            [(FontStyle::Normal, dejavu::sans::regular()), (FontStyle::Bold, dejavu::sans::bold())]
        {
            // Plotters' error has no Debug, so there is nothing to unwrap it with.
            assert!(
                register_font(FAMILY, style, font).is_ok(),
                "the embedded font is a valid font"
            );
        }
    });
}

/// The same font for the rasteriser, and no other.
pub(crate) fn database() -> Arc<Database> {
    static DATABASE: LazyLock<Arc<Database>> = LazyLock::new(|| {
        let mut database = Database::new();
        database.load_font_data(dejavu::sans::regular().to_vec());
        database.load_font_data(dejavu::sans::bold().to_vec());
        database.set_sans_serif_family("DejaVu Sans");
        Arc::new(database)
    });
    Arc::clone(&DATABASE)
}
