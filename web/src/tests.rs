//! Stories through the router: requests in, answers out, over a simulated store.

mod access;
mod alerts;
mod audit;
mod backtest;
mod browser;
mod coverage;
mod deadletters;
mod document;
mod frame;
mod harness;
mod me;
mod retention;
mod roles;
mod saved;
mod search;
mod silences;
mod sources;
mod streams;
