//! Trigonometry in degrees, exact where the result is.
//!
//! Source: PostgreSQL 15, float.c: results are scaled so that the special angles come out even.

use std::f64::consts::PI;

use annulus_relation::{SqlResult, Value};

use super::super::super::registry::{Entry, Site, entry};
use super::super::args::float;
use super::float::outside;

const RADIANS: f64 = PI / 180.0;

pub(in super::super) const TABLE: &[Entry] = &[
    entry("sind(float8) float8", |_, a| angle(a, |x, sign| sign.rotated * sine(x))),
    entry("cosd(float8) float8", |_, a| angle(a, |x, sign| sign.mirrored * cosine(x))),
    entry("tand(float8) float8", |_, a| {
        angle(a, |x, sign| sign.rotated * sign.mirrored * ((sine(x) / cosine(x)) / (sine(45.0) / cosine(45.0))) + 0.0)
    }),
    entry("cotd(float8) float8", |_, a| {
        angle(a, |x, sign| sign.rotated * sign.mirrored * ((cosine(x) / sine(x)) / (cosine(45.0) / sine(45.0))) + 0.0)
    }),
    entry("asind(float8) float8", |_, a| inverse(a, |x| if x >= 0.0 { arcsine(x) } else { -arcsine(-x) })),
    entry("acosd(float8) float8", |_, a| inverse(a, |x| if x >= 0.0 { arccosine(x) } else { 90.0 + arcsine(-x) })),
    entry("atand(float8) float8", |_, a| Ok(Value::Float8(float(a, 0)?.atan() / 1.0_f64.atan() * 45.0))),
    entry("atan2d(float8,float8) float8", |_: &Site<'_>, a| {
        Ok(Value::Float8(float(a, 0)?.atan2(float(a, 1)?) / 1.0_f64.atan() * 45.0))
    }),
];

/// Which signs an angle's functions have that was brought into the first quadrant.
struct Signs {
    /// Of the sine.
    rotated: f64,
    /// Of the cosine.
    mirrored: f64,
}

fn angle(args: &[Value], function: impl Fn(f64, Signs) -> f64) -> SqlResult<Value> {
    let given = float(args, 0)?;
    if given.is_nan() {
        return Ok(Value::Float8(f64::NAN));
    }
    if given.is_infinite() {
        return Err(outside());
    }
    let mut signs = Signs { rotated: 1.0, mirrored: 1.0 };
    let mut angle = given % 360.0;
    if angle < 0.0 {
        (angle, signs.rotated) = (-angle, -signs.rotated);
    }
    if angle > 180.0 {
        (angle, signs.rotated) = (360.0 - angle, -signs.rotated);
    }
    if angle > 90.0 {
        (angle, signs.mirrored) = (180.0 - angle, -signs.mirrored);
    }
    Ok(Value::Float8(function(angle, signs)))
}

fn inverse(args: &[Value], function: impl Fn(f64) -> f64) -> SqlResult<Value> {
    let given = float(args, 0)?;
    match given {
        _ if given.is_nan() => Ok(Value::Float8(f64::NAN)),
        -1.0..=1.0 => Ok(Value::Float8(function(given))),
        _ => Err(outside()),
    }
}

/// Of 0 to 30 degrees.
fn low_sine(x: f64) -> f64 {
    ((x * RADIANS).sin() / (30.0 * RADIANS).sin()) / 2.0
}

/// Of 0 to 60 degrees.
fn low_cosine(x: f64) -> f64 {
    1.0 - ((1.0 - (x * RADIANS).cos()) / (1.0 - (60.0 * RADIANS).cos())) / 2.0
}

fn sine(x: f64) -> f64 {
    if x <= 30.0 { low_sine(x) } else { low_cosine(90.0 - x) }
}

fn cosine(x: f64) -> f64 {
    if x <= 60.0 { low_cosine(x) } else { low_sine(90.0 - x) }
}

fn arcsine(x: f64) -> f64 {
    if x <= 0.5 { (x.asin() / 0.5_f64.asin()) * 30.0 } else { 90.0 - (x.acos() / 0.5_f64.acos()) * 60.0 }
}

fn arccosine(x: f64) -> f64 {
    if x <= 0.5 { 90.0 - (x.asin() / 0.5_f64.asin()) * 30.0 } else { (x.acos() / 0.5_f64.acos()) * 60.0 }
}
