//! HTTP API, sessions and dashboard.
