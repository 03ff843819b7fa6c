//! Stories of the whole index: what is found, and what survives.

mod accidents;
mod agreement;
mod crash;
mod damage;
mod expire;
mod golden;
mod recovery;
mod world;
