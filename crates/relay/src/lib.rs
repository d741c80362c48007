//! The server that cannot read what it carries.
