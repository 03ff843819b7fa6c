//! Everything durable: journal, blobs, catalog, identity.
