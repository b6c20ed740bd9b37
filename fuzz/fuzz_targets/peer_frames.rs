//! What arrives at the peer port.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| annulus::fuzzing::peer_frames(bytes));
