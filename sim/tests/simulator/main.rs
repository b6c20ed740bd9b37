//! The simulator as a test: a few seeds, those that once failed, transcripts, and the rules that are taken
//! out to see that it notices.

mod mutations;
mod seeds;
mod transcripts;
