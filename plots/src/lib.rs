//! Run records to SVG, PNG and one self-contained HTML report.
