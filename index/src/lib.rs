//! Head and splits: what makes events searchable.
