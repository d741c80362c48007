//! Frames of client and relay, as the other side sends them.
#![no_main]

use wire::{ClientFrame, RelayFrame};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What was understood is written in one form, and that form is understood as the same.
    if let Ok(frame) = ClientFrame::decode(data.to_vec().into()) {
        assert_eq!(ClientFrame::decode(frame.encode().into()).as_ref(), Ok(&frame));
    }
    if let Ok(frame) = RelayFrame::decode(data.to_vec().into()) {
        assert_eq!(RelayFrame::decode(frame.encode().into()).as_ref(), Ok(&frame));
    }
    let _ = ClientFrame::number(data);
});
