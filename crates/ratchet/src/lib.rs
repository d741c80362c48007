//! PQXDH, Double Ratchet and SPQR: the Triple Ratchet.
