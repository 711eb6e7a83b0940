//! The broker on blocking threads.
