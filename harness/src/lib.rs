//! The load generator: scenarios, drivers, process control, verdicts.
