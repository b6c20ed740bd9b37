//! Variances, deviations, correlations and regressions.
//!
//! Source: PostgreSQL 15, `float8_accum`, `float8_regr_accum` (the algorithm of Youngs and Cramer) and
//! `numeric_stddev_internal`.

use annulus_relation::value::Numeric;
use annulus_relation::{SqlResult, SqlType, Value};
use bigdecimal::num_bigint::BigInt;

use super::fold::{Args, Fold};
use super::sums::overflow;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Function {
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
    CovarPop,
    CovarSamp,
    Corr,
    Count,
    AvgX,
    AvgY,
    Sxx,
    Syy,
    Sxy,
    Slope,
    Intercept,
    R2,
}

/// The function of a name, and its type, for arguments of these types.
pub(super) fn signature(name: &str, types: &[&SqlType]) -> Option<(Function, SqlType)> {
    use Function as F;
    let one = match name {
        "var_pop" => Some(F::VarPop),
        "var_samp" | "variance" => Some(F::VarSamp),
        "stddev_pop" => Some(F::StddevPop),
        "stddev_samp" | "stddev" => Some(F::StddevSamp),
        _ => None,
    };
    if let (Some(function), [ty]) = (one, types) {
        return match ty {
            SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Numeric(_) => {
                Some((function, SqlType::Numeric(None)))
            }
            SqlType::Float4 | SqlType::Float8 => Some((function, SqlType::Float8)),
            _ => None,
        };
    }
    let [SqlType::Float8, SqlType::Float8] = types else { return None };
    let function = match name {
        "covar_pop" => F::CovarPop,
        "covar_samp" => F::CovarSamp,
        "corr" => F::Corr,
        "regr_count" => return Some((F::Count, SqlType::Int8)),
        "regr_avgx" => F::AvgX,
        "regr_avgy" => F::AvgY,
        "regr_sxx" => F::Sxx,
        "regr_syy" => F::Syy,
        "regr_sxy" => F::Sxy,
        "regr_slope" => F::Slope,
        "regr_intercept" => F::Intercept,
        "regr_r2" => F::R2,
        _ => return None,
    };
    Some((function, SqlType::Float8))
}

/// Whether arguments of these types are computed with exactly.
pub(super) fn is_exact(types: &[SqlType]) -> bool {
    matches!(types, [SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Numeric(_)])
}

/// A statistic of rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Moments {
    pub function: Function,
    pub exact: bool,
}

/// What is kept: number, sums, and sums of squares of distances from the mean; exactly, or not.
#[derive(Debug)]
pub(super) enum State {
    Float { n: f64, sx: f64, sxx: f64, sy: f64, syy: f64, sxy: f64 },
    Exact { n: i64, sum: Numeric, squares: Numeric },
}

impl Default for State {
    fn default() -> Self {
        Self::Float { n: 0.0, sx: 0.0, sxx: 0.0, sy: 0.0, syy: 0.0, sxy: 0.0 }
    }
}

fn float(value: &Value) -> f64 {
    match value {
        Value::Float4(v) => (*v).into(),
        Value::Float8(v) => *v,
        _ => 0.0,
    }
}

fn exact(value: &Value) -> SqlResult<Numeric> {
    match value {
        Value::Int2(v) => Numeric::finite(BigInt::from(*v), 0),
        Value::Int4(v) => Numeric::finite(BigInt::from(*v), 0),
        Value::Int8(v) => Numeric::finite(BigInt::from(*v), 0),
        Value::Numeric(v) => Ok(v.clone()),
        _ => Ok(Numeric::zero()),
    }
}

impl Moments {
    fn take(&self, state: &mut State, first: &Value, second: Option<&Value>) -> SqlResult<()> {
        if self.exact {
            let value = exact(first)?;
            let square = value.mul(&value)?;
            *state = match std::mem::take(state) {
                State::Exact { n, sum, squares } => {
                    State::Exact { n: n + 1, sum: sum.add(&value)?, squares: squares.add(&square)? }
                }
                State::Float { .. } => State::Exact { n: 1, sum: value, squares: square },
            };
            return Ok(());
        }
        // Of two arguments the first is the dependent one.
        let (x, y) = match second {
            Some(second) => (float(second), float(first)),
            None => (float(first), 0.0),
        };
        let State::Float { n, sx, sxx, sy, syy, sxy } = state else { return Ok(()) };
        *n += 1.0;
        *sx += x;
        *sy += y;
        if *n > 1.0 {
            let (dx, dy) = (x * *n - *sx, y * *n - *sy);
            let scale = 1.0 / (*n * (*n - 1.0));
            *sxx += dx * dx * scale;
            *syy += dy * dy * scale;
            *sxy += dx * dy * scale;
        }
        let sums = [*sx, *sxx, *sy, *syy, *sxy];
        if sums.iter().any(|sum| sum.is_infinite()) {
            if x.is_finite() && y.is_finite() && (*sx - x).is_finite() && (*sy - y).is_finite() {
                return Err(overflow());
            }
            (*sxx, *syy, *sxy) = (f64::NAN, f64::NAN, f64::NAN);
        }
        if x.is_nan() || x.is_infinite() {
            (*sxx, *sxy) = (f64::NAN, f64::NAN);
        }
        if y.is_nan() || y.is_infinite() {
            (*syy, *sxy) = (f64::NAN, f64::NAN);
        }
        Ok(())
    }

    /// The result for some rows.
    pub fn of_rows(&self, rows: &[&[Value]]) -> SqlResult<Value> {
        let mut state = State::default();
        for row in rows {
            let second = if self.is_of_pairs() { row.get(1) } else { None };
            self.take(&mut state, &row[0], second)?;
        }
        self.finish(&state)
    }

    const fn is_of_pairs(&self) -> bool {
        !matches!(self.function, Function::VarPop | Function::VarSamp | Function::StddevPop | Function::StddevSamp)
    }
}

impl Fold for Moments {
    type State = State;

    fn add(&self, state: &mut State, args: &Args<'_>, row: usize) -> SqlResult<()> {
        if args.is_null(0, row) || (self.is_of_pairs() && args.is_null(1, row)) {
            return Ok(());
        }
        let first = args.get(0, row)?;
        match self.is_of_pairs() {
            true => self.take(state, &first, Some(&args.get(1, row)?)),
            false => self.take(state, &first, None),
        }
    }

    fn remove(&self, _: &mut State, _: &Args<'_>, _: usize) -> Option<SqlResult<()>> {
        None
    }

    fn merge(&self, state: &mut State, other: State) -> SqlResult<()> {
        *state = match (std::mem::take(state), other) {
            (State::Float { n: 0.0, .. }, other) | (other, State::Float { n: 0.0, .. }) => other,
            (State::Exact { n, sum, squares }, State::Exact { n: m, sum: other, squares: more }) => {
                State::Exact { n: n + m, sum: sum.add(&other)?, squares: squares.add(&more)? }
            }
            (
                State::Float { n, sx, sxx, sy, syy, sxy },
                State::Float { n: m, sx: tx, sxx: txx, sy: ty, syy: tyy, sxy: txy },
            ) => {
                let (dx, dy) = (sx / n - tx / m, sy / n - ty / m);
                let scale = n * m / (n + m);
                State::Float {
                    n: n + m,
                    sx: sx + tx,
                    sxx: sxx + txx + scale * dx * dx,
                    sy: sy + ty,
                    syy: syy + tyy + scale * dy * dy,
                    sxy: sxy + txy + scale * dx * dy,
                }
            }
            (state, _) => state,
        };
        Ok(())
    }

    fn save(state: &State) -> Vec<Value> {
        match state {
            State::Float { n, sx, sxx, sy, syy, sxy } => {
                [n, sx, sxx, sy, syy, sxy].map(|number| Value::Float8(*number)).to_vec()
            }
            State::Exact { n, sum, squares } => {
                vec![Value::Int8(*n), Value::Numeric(sum.clone()), Value::Numeric(squares.clone())]
            }
        }
    }

    fn load(values: Vec<Value>) -> Option<State> {
        match values.as_slice() {
            [Value::Int8(n), Value::Numeric(sum), Value::Numeric(squares)] => {
                Some(State::Exact { n: *n, sum: sum.clone(), squares: squares.clone() })
            }
            [
                Value::Float8(n),
                Value::Float8(sx),
                Value::Float8(sxx),
                Value::Float8(sy),
                Value::Float8(syy),
                Value::Float8(sxy),
            ] => Some(State::Float { n: *n, sx: *sx, sxx: *sxx, sy: *sy, syy: *syy, sxy: *sxy }),
            _ => None,
        }
    }

    fn finish(&self, state: &State) -> SqlResult<Value> {
        match state {
            State::Exact { n, sum, squares } => exact_result(self.function, *n, sum, squares),
            State::Float { n, sx, sxx, sy, syy, sxy } => {
                Ok(float_result(self.function, *n, [*sx, *sxx, *sy, *syy, *sxy]))
            }
        }
    }
}

fn float_result(function: Function, n: f64, [sx, sxx, sy, syy, sxy]: [f64; 5]) -> Value {
    use Function as F;
    let least = match function {
        F::Count => return Value::Int8(n as i64),
        F::VarSamp | F::StddevSamp | F::CovarSamp => 2.0,
        _ => 1.0,
    };
    if n < least {
        return Value::Null;
    }
    let result = match function {
        F::VarPop => sxx / n,
        F::VarSamp => sxx / (n - 1.0),
        F::StddevPop => (sxx / n).sqrt(),
        F::StddevSamp => (sxx / (n - 1.0)).sqrt(),
        F::CovarPop => sxy / n,
        F::CovarSamp => sxy / (n - 1.0),
        F::Corr if sxx == 0.0 || syy == 0.0 => return Value::Null,
        F::Corr => sxy / (sxx * syy).sqrt(),
        F::Count => n,
        F::AvgX => sx / n,
        F::AvgY => sy / n,
        F::Sxx => sxx,
        F::Syy => syy,
        F::Sxy => sxy,
        F::Slope | F::Intercept | F::R2 if sxx == 0.0 => return Value::Null,
        F::Slope => sxy / sxx,
        F::Intercept => (sy - sx * sxy / sxx) / n,
        F::R2 if syy == 0.0 => 1.0,
        F::R2 => sxy * sxy / (sxx * syy),
    };
    Value::Float8(result)
}

fn exact_result(function: Function, n: i64, sum: &Numeric, squares: &Numeric) -> SqlResult<Value> {
    let sample = matches!(function, Function::VarSamp | Function::StddevSamp);
    if n < 1 || (sample && n < 2) {
        return Ok(Value::Null);
    }
    let count = Numeric::finite(BigInt::from(n), 0)?;
    let distance = count.mul(squares)?.sub(&sum.mul(sum)?)?;
    if distance.signum() <= 0 && !distance.is_nan() {
        return Ok(Value::Numeric(Numeric::zero()));
    }
    let divisor = BigInt::from(n) * BigInt::from(if sample { n - 1 } else { n });
    let variance = distance.div(&Numeric::finite(divisor, 0)?)?;
    let deviates = matches!(function, Function::StddevPop | Function::StddevSamp);
    Ok(Value::Numeric(if deviates { root(&variance)? } else { variance }))
}

/// The square root with as many digits behind the point as the number has.
fn root(number: &Numeric) -> SqlResult<Numeric> {
    let Numeric::Finite(decimal) = number else { return Ok(number.clone()) };
    let (digits, scale) = decimal.as_bigint_and_scale();
    let shift = u32::try_from(scale + 2).unwrap_or(0);
    let root = (digits.into_owned() * BigInt::from(10).pow(shift)).sqrt();
    Numeric::finite((root + 5) / 10, scale)
}
