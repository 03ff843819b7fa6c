//! Stories of the whole index: what is found, and what survives.

mod agreement;
mod recovery;
mod world;
