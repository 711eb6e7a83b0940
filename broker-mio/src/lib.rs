//! The broker on mio event loops.
