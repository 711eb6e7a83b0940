//! One behaviour suite, run against every backend over real sockets.
