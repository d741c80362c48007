//! Evidence files, as anybody may hand them over.
#![no_main]

use engine::Evidence;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(evidence) = Evidence::decode(data) {
        assert_eq!(evidence.encode(), data);
        let _ = evidence.verify();
    }
    // A fuzzer does not find checksums: the rest is read with a right one too.
    let mut summed = data.to_vec();
    summed.extend_from_slice(&keys::sha256(&[data]));
    if let Ok(evidence) = Evidence::decode(&summed) {
        assert_eq!(evidence.encode(), summed);
        let _ = evidence.verify();
    }
});
