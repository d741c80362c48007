//! Many clients and a relay in one process.
