//! Stories of the whole index: what is found, and what survives.

mod agreement;
mod expire;
mod recovery;
mod world;
