//! Health, readiness, metrics and status over HTTP.
