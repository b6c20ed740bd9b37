//! Frames of windows.

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, WindowFrame, WindowFrameBound, WindowFrameUnits};
use sqlparser::ast;

use super::Translator;
use crate::query::arrow::data_type;
use crate::query::scalar::literal;

impl Translator<'_> {
    /// A window's frame, over keys of these types.
    pub(super) fn frame(&mut self, frame: Option<&ast::WindowFrame>, order: &[SqlType]) -> SqlResult<WindowFrame> {
        let Some(frame) = frame else {
            return Ok(match order.is_empty() {
                true => WindowFrame::new(None),
                // The same as with RANGE, which DataFusion has for some types only.
                false => WindowFrame::new_bounds(
                    WindowFrameUnits::Groups,
                    WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
                    WindowFrameBound::CurrentRow,
                ),
            });
        };
        if frame.units == ast::WindowFrameUnits::Groups && order.is_empty() {
            let message = "GROUPS mode requires an ORDER BY clause";
            return Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
        }
        let has_offset = |bound: &ast::WindowFrameBound| {
            use ast::WindowFrameBound as B;
            matches!(bound, B::Preceding(Some(_)) | B::Following(Some(_)))
        };
        let offset = has_offset(&frame.start_bound) || frame.end_bound.as_ref().is_some_and(has_offset);
        let units = match frame.units {
            ast::WindowFrameUnits::Rows => WindowFrameUnits::Rows,
            ast::WindowFrameUnits::Range if offset || order.is_empty() => WindowFrameUnits::Range,
            ast::WindowFrameUnits::Range | ast::WindowFrameUnits::Groups => WindowFrameUnits::Groups,
        };
        let start = self.frame_bound(&frame.start_bound, units, order)?;
        let end = match &frame.end_bound {
            Some(end) => self.frame_bound(end, units, order)?,
            None => WindowFrameBound::CurrentRow,
        };
        let wrong = |message: &str| Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
        match (&start, &end) {
            (WindowFrameBound::Following(value), _) if value.is_null() => {
                wrong("frame start cannot be UNBOUNDED FOLLOWING")
            }
            (_, WindowFrameBound::Preceding(value)) if value.is_null() => {
                wrong("frame end cannot be UNBOUNDED PRECEDING")
            }
            (WindowFrameBound::CurrentRow, WindowFrameBound::Preceding(_)) => {
                wrong("frame starting from current row cannot have preceding rows")
            }
            (WindowFrameBound::Following(_), WindowFrameBound::Preceding(_) | WindowFrameBound::CurrentRow) => {
                wrong("frame starting from following row cannot have preceding rows")
            }
            _ => Ok(WindowFrame::new_bounds(units, start, end)),
        }
    }

    fn frame_bound(
        &mut self,
        bound: &ast::WindowFrameBound,
        units: WindowFrameUnits,
        order: &[SqlType],
    ) -> SqlResult<WindowFrameBound> {
        let (offset, preceding) = match bound {
            ast::WindowFrameBound::CurrentRow => return Ok(WindowFrameBound::CurrentRow),
            ast::WindowFrameBound::Preceding(offset) => (offset, true),
            ast::WindowFrameBound::Following(offset) => (offset, false),
        };
        let value = match (offset, units) {
            (None, WindowFrameUnits::Range) => match order {
                [ty] => ScalarValue::try_from(&data_type(ty)).unwrap_or(ScalarValue::UInt64(None)),
                _ => ScalarValue::UInt64(None),
            },
            (None, _) => ScalarValue::UInt64(None),
            (Some(offset), WindowFrameUnits::Range) => self.range_offset(offset, order)?,
            (Some(offset), _) => match self.constant(offset, &SqlType::Int8, "a window frame")? {
                Some(Value::Int8(rows)) => ScalarValue::UInt64(Some(u64::try_from(rows).map_err(|_| negative())?)),
                Some(_) => {
                    let message = "frame offset must not be null";
                    return Err(SqlError::new(SqlState("22013"), message));
                }
                None => ScalarValue::UInt64(Some(1)),
            },
        };
        Ok(if preceding { WindowFrameBound::Preceding(value) } else { WindowFrameBound::Following(value) })
    }

    /// How far a range reaches in values.
    fn range_offset(&mut self, offset: &ast::Expr, order: &[SqlType]) -> SqlResult<ScalarValue> {
        let [ty] = order else {
            let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
            return Err(SqlError::new(SqlState::WINDOWING_ERROR, message));
        };
        let wanted = match ty {
            SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Float8 => ty.clone(),
            SqlType::Timestamp(_) | SqlType::Timestamptz(_) | SqlType::Date => SqlType::Interval(None),
            other => return Err(SqlError::unsupported(format!("RANGE with an offset over type {}", other.name()))),
        };
        let value = self.constant(offset, &wanted, "a window frame")?;
        let scalar = match (value, ty) {
            // It is not known yet: anything but NULL, which would be no limit.
            (None, ty) => return Ok(ScalarValue::new_zero(&data_type(ty)).unwrap_or(ScalarValue::Null)),
            (Some(Value::Interval(interval)), ty) if interval.months == 0 => {
                let micros = i64::from(interval.days) * 86_400_000_000 + interval.micros;
                match ty {
                    SqlType::Date if micros % 86_400_000_000 == 0 => {
                        ScalarValue::Int32(i32::try_from(micros / 86_400_000_000).ok())
                    }
                    SqlType::Date => return Err(SqlError::unsupported("RANGE over dates by parts of days")),
                    _ => ScalarValue::Int64(Some(micros)),
                }
            }
            (Some(Value::Interval(_)), _) => return Err(SqlError::unsupported("RANGE by months")),
            (Some(value), ty) => match literal(ty, &value) {
                Expr::Literal(scalar, _) => scalar,
                _ => ScalarValue::Null,
            },
        };
        let is_negative = ScalarValue::new_zero(&scalar.data_type()).is_ok_and(|zero| scalar < zero);
        if is_negative { Err(negative()) } else { Ok(scalar) }
    }
}

fn negative() -> SqlError {
    SqlError::new(SqlState("22013"), "frame starting or ending offset must not be negative")
}
