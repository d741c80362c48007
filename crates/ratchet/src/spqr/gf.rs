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

/// `a · x`, lane by lane.
fn times_x_lanes(a: &mut Lanes) {
    for lane in a {
        *lane = times_x(*lane);
    }
}

/// `a · b`, lane by lane.
pub(super) fn mul_lanes(a: &Lanes, b: &Lanes) -> Lanes {
    let (mut power, mut product) = (*a, [0; 16]);
    for bit in 0..16 {
        for ((product, power), b) in product.iter_mut().zip(&power).zip(b) {
            *product ^= power & ((b >> bit) & 1).wrapping_neg();
        }
        times_x_lanes(&mut power);
    }
    product
}

/// `sum_j factor_j · lanes_j`, by Horner's rule over the bits of the factors.
pub(super) fn sum_of_products(factors: &[u16], lanes: &[Lanes]) -> Lanes {
    let mut sum = [0; 16];
    for bit in (0..16).rev() {
        times_x_lanes(&mut sum);
        for (factor, lanes) in factors.iter().zip(lanes) {
            let mask = ((factor >> bit) & 1).wrapping_neg();
            for (sum, lane) in sum.iter_mut().zip(lanes) {
                *sum ^= lane & mask;
            }
        }
    }
    sum
}
