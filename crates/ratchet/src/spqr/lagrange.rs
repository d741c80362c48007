//! Interpolation of sixteen polynomials at once over GF(2^16).
//!
//! *Formula* (Lagrange): `f(x) = sum_j y_j w_j prod_{m != j} (x - x_m)` with the weights
//! `w_j = 1 / prod_{m != j} (x_j - x_m)`, which do not depend on x. Positions are public; only speed matters here.

use super::gf::{self, Lanes};

/// Fills in the weights of distinct positions.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a const fn has neither iterators nor get; both slices are as long as `xs`"
)]
const fn fill_weights(xs: &[u16], weights: &mut [u16]) {
    let mut own = 0;
    while own < xs.len() {
        let (mut product, mut other) = (1, 0);
        while other < xs.len() {
            if other != own {
                product = gf::mul(product, xs[own] ^ xs[other]);
            }
            other += 1;
        }
        weights[own] = gf::invert(product);
        own += 1;
    }
}

/// The weights of the positions 0 to N - 1.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "evaluated at compile time for N of at most 36"
)]
const fn consecutive<const N: usize>() -> [u16; N] {
    let (mut xs, mut weights, mut place) = ([0; N], [0; N], 0);
    while place < N {
        xs[place] = place as u16;
        place += 1;
    }
    fill_weights(&xs, &mut weights);
    weights
}

// What the braid sends: header, encapsulation key, first and second part of the ciphertext, in chunks.
static WEIGHTS_3: [u16; 3] = consecutive();
static WEIGHTS_5: [u16; 5] = consecutive();
static WEIGHTS_30: [u16; 30] = consecutive();
static WEIGHTS_36: [u16; 36] = consecutive();

/// Sixteen polynomials of least degree through points with common positions.
pub(super) struct Polynomials {
    xs: Vec<u16>,
    weights: Vec<u16>,
    rows: Vec<Lanes>,
}

impl Polynomials {
    /// Through `rows` at distinct `xs`.
    pub(super) fn through(xs: Vec<u16>, rows: Vec<Lanes>) -> Self {
        let mut weights = vec![0; xs.len()];
        fill_weights(&xs, &mut weights);
        Self { xs, weights, rows }
    }

    /// Values at a position that is none of the points'.
    pub(super) fn at(&self, x: u16) -> Lanes {
        evaluate(&self.xs, &self.weights, &self.rows, x)
    }
}

/// Values at `x` of the polynomials through `rows` at 0, 1, 2 and so on, where `x` is behind them.
pub(super) fn after_consecutive(rows: &[Lanes], x: u16) -> Lanes {
    let xs: Vec<u16> = (0..=u16::MAX).take(rows.len()).collect();
    let weights: &[u16] = match rows.len() {
        3 => &WEIGHTS_3,
        5 => &WEIGHTS_5,
        30 => &WEIGHTS_30,
        36 => &WEIGHTS_36,
        _ => return Polynomials::through(xs, rows.to_vec()).at(x),
    };
    evaluate(&xs, weights, rows, x)
}

fn evaluate(xs: &[u16], weights: &[u16], rows: &[Lanes], x: u16) -> Lanes {
    gf::sum_of_products(factors(xs, weights, x).as_flattened(), rows)
}

/// `w_j prod_{m != j} (x - x_m)` for all j, sixteen at a time, the last sixteen filled up.
fn factors(xs: &[u16], weights: &[u16], x: u16) -> Vec<Lanes> {
    let fill = |values: &[u16], filler: u16| {
        let mut lanes = [filler; 16];
        for (lane, value) in lanes.iter_mut().zip(values) {
            *lane = *value;
        }
        lanes
    };
    let distances = xs.chunks(16).map(|xs| {
        let mut lanes = fill(xs, x ^ 1);
        for lane in &mut lanes {
            *lane ^= x;
        }
        lanes
    });
    // For each sixteen: the product of the fifteen others of each, and of all.
    let inner: Vec<(Lanes, u16)> = distances
        .map(|distances| {
            let others = product_of_others(&distances);
            let all = gf::mul_lanes(&others, &distances);
            (others, all.first().copied().unwrap_or(1))
        })
        .collect();
    let mut after = Vec::with_capacity(inner.len());
    let mut product = 1;
    for (_, all) in inner.iter().rev() {
        after.push(product);
        product = gf::mul(product, *all);
    }
    let mut before = 1;
    let parts = inner.iter().zip(after.iter().rev()).zip(weights.chunks(16));
    parts
        .map(|(((others, all), after), weights)| {
            let outside = [gf::mul(before, *after); 16];
            before = gf::mul(before, *all);
            gf::mul_lanes(&gf::mul_lanes(others, &fill(weights, 0)), &outside)
        })
        .collect()
}

/// For each lane the product of the fifteen others, by doubling around the ring of lanes.
fn product_of_others(lanes: &Lanes) -> Lanes {
    let turned = |lanes: &Lanes, by: usize| {
        let mut turned = *lanes;
        turned.rotate_left(by);
        turned
    };
    let one = turned(lanes, 1);
    let two = gf::mul_lanes(&one, &turned(&one, 1));
    let four = gf::mul_lanes(&two, &turned(&two, 2));
    let eight = gf::mul_lanes(&four, &turned(&four, 4));
    let twelve = gf::mul_lanes(&eight, &turned(&four, 8));
    let fourteen = gf::mul_lanes(&twelve, &turned(&two, 12));
    gf::mul_lanes(&fourteen, &turned(&one, 14))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "test code"
    )]
    use super::*;

    /// Coefficients of sixteen polynomials, evaluated by Horner's rule.
    fn polynomial(coefficients: &[Lanes], x: u16) -> Lanes {
        let mut value = [0; 16];
        for row in coefficients.iter().rev() {
            value = gf::mul_lanes(&value, &[x; 16]);
            for (value, coefficient) in value.iter_mut().zip(row) {
                *value ^= coefficient;
            }
        }
        value
    }

    fn coefficients(count: usize) -> Vec<Lanes> {
        let value = |row: usize, lane: usize| (row * 40_503 + lane * 977 + 12_345) as u16;
        (0..count)
            .map(|row| std::array::from_fn(|lane| value(row, lane)))
            .collect()
    }

    #[test]
    fn values_behind_consecutive_points_are_the_polynomials() {
        for count in [1, 2, 3, 5, 15, 16, 17, 30, 36, 40] {
            let coefficients = coefficients(count);
            let rows: Vec<Lanes> = (0..count)
                .map(|x| polynomial(&coefficients, x as u16))
                .collect();
            for x in [40, 41, 100, 255, 4096, 65_535] {
                assert_eq!(
                    after_consecutive(&rows, x),
                    polynomial(&coefficients, x),
                    "{count} {x}"
                );
            }
        }
    }

    #[test]
    fn values_between_scattered_points_are_the_polynomials() {
        let coefficients = coefficients(20);
        let xs: Vec<u16> = (0..20).map(|place| place * 3 + 1).collect();
        let rows = xs.iter().map(|x| polynomial(&coefficients, *x)).collect();
        let through = Polynomials::through(xs, rows);
        for x in [0, 2, 3, 59, 65_535] {
            assert_eq!(through.at(x), polynomial(&coefficients, x));
        }
    }
}
