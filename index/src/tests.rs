//! Stories of the whole index: what is found, and what survives.

mod agreement;
mod expire;
mod golden;
mod recovery;
mod world;
