//! GF(2^16) modulo x^16 + x^12 + x^3 + x + 1, sixteen elements at a time.
//!
//! All loops have fixed bounds and no table look-ups, so time does not depend on values.

/// Sixteen field elements: one for each polynomial of the erasure code.
pub(super) type Lanes = [u16; 16];

/// The modulus without x^16.
const MODULUS: u16 = 0x100b;

/// `a · x`.
const fn times_x(a: u16) -> u16 {
    (a << 1) ^ (MODULUS & (a >> 15).wrapping_neg())
}

/// `a · b`.
pub(super) const fn mul(a: u16, b: u16) -> u16 {
    let (mut power, mut bits, mut product) = (a, b, 0);
    let mut step = 0_u8;
    while step < 16 {
        product ^= power & (bits & 1).wrapping_neg();
        power = times_x(power);
        bits >>= 1;
        step = step.wrapping_add(1);
    }
    product
}

/// `1 / a`; zero for zero. By Fermat: a^(2^16 - 2).
pub(super) const fn invert(a: u16) -> u16 {
    let (mut square, mut product) = (mul(a, a), 1);
    let mut step = 1_u8;
    while step < 16 {
        product = mul(product, square);
        square = mul(square, square);
        step = step.wrapping_add(1);
    }
    product
}

/// `sum += factor · lanes`, lane by lane.
pub(super) fn mul_add(sum: &mut Lanes, factor: u16, lanes: &Lanes) {
    let mut power = factor;
    for bit in 0..16 {
        for (sum, lane) in sum.iter_mut().zip(lanes) {
            *sum ^= power & ((lane >> bit) & 1).wrapping_neg();
        }
        power = times_x(power);
    }
}

/// The inverses of all values; none may be zero. One inversion and three products a value.
pub(super) fn invert_all(values: &[u16]) -> Vec<u16> {
    let mut prefix = Vec::with_capacity(values.len());
    let mut product = 1;
    for value in values {
        prefix.push(product);
        product = mul(product, *value);
    }
    let mut inverse = invert(product);
    let mut inverses: Vec<u16> = prefix
        .iter()
        .zip(values)
        .rev()
        .map(|(prefix, value)| {
            let out = mul(inverse, *prefix);
            inverse = mul(inverse, *value);
            out
        })
        .collect();
    inverses.reverse();
    inverses
}
