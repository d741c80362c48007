//! Who someone is and the secrets they hold.
