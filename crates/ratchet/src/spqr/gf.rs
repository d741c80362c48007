//! GF(2^16) modulo x^16 + x^12 + x^3 + x + 1, sixteen elements at a time.
//!
//! All loops have fixed bounds, and no look-up depends on what is sent, so time depends on positions alone.

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
///
/// Four rows at a time: bit b of four factors chooses one of the sixteen sums that four rows have. The factors come
/// of positions, which are public; the rows only move.
pub(super) fn sum_of_products(factors: &[u16], lanes: &[Lanes]) -> Lanes {
    let mut by_bit = [[0; 16]; 16];
    let (fours, rows) = (factors.chunks(4), lanes.chunks(4));
    for (factors, rows) in fours.zip(rows) {
        let sums = subset_sums(rows);
        let mut packed = factors
            .iter()
            .rev()
            .fold(0_u64, |packed, factor| packed << 16 | u64::from(*factor));
        for sum in &mut by_bit {
            if let Some(chosen) = sums.get(lowest_bits(packed)) {
                add(sum, chosen);
            }
            packed >>= 1;
        }
    }
    let mut sum = [0; 16];
    for part in by_bit.iter().rev() {
        times_x_lanes(&mut sum);
        add(&mut sum, part);
    }
    sum
}

/// The sums of all subsets of at most four rows; bit k of the index stands for row k.
fn subset_sums(rows: &[Lanes]) -> [Lanes; 16] {
    let mut sums = [[0; 16]; 16];
    let mut known = 1;
    for row in rows.iter().take(4) {
        let (low, high) = sums.split_at_mut(known);
        for (sum, without) in high.iter_mut().zip(low) {
            *sum = *without;
            add(sum, row);
        }
        known = known.saturating_mul(2);
    }
    sums
}

/// Bits 0, 16, 32 and 48 as a number below 16.
fn lowest_bits(packed: u64) -> usize {
    let bits = packed & 0x0001_0001_0001_0001;
    // Moves bit 16k to 48 + k; no two bits meet, so nothing carries.
    let moved = bits.wrapping_mul(1 << 48 | 1 << 33 | 1 << 18 | 1 << 3);
    usize::from((moved >> 48) as u8 & 0xf)
}

fn add(sum: &mut Lanes, lanes: &Lanes) {
    for (sum, lane) in sum.iter_mut().zip(lanes) {
        *sum ^= lane;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_of_products_is_the_sum_of_products() {
        let value = |a: usize, b: usize| (a * 40_503 + b * 977 + a * b * 31 + 12_345) as u16;
        for count in 0..=40_usize {
            let factors: Vec<u16> = (0..count).map(|row| value(row, 99)).collect();
            let rows: Vec<Lanes> = (0..count)
                .map(|row| std::array::from_fn(|lane| value(row, lane)))
                .collect();
            let mut expected = [0; 16];
            for (factor, row) in factors.iter().zip(&rows) {
                add(&mut expected, &mul_lanes(row, &[*factor; 16]));
            }
            // Factors behind the last row count for nothing.
            let more = [&factors[..], &[1, 2, 3]].concat();
            assert_eq!(sum_of_products(&factors, &rows), expected, "{count}");
            assert_eq!(sum_of_products(&more, &rows), expected, "{count}");
        }
    }
}
