//! Bytes to packets and back: JSON lines and the native wire.
