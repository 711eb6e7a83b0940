//! What both broker binaries share: command line, config, logging, signals.
