//! Settings from a URL or from `key=value` pairs, as libpq has them.
