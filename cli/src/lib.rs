//! tandem, the command-line client.
