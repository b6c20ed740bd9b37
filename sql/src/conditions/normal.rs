//! Expressions in a form in which those that compute the same the same way are equal.

use annulus_relation::SqlType;

use crate::bind::Expr;

/// The expression without what the catalog's text and a statement may tell differently: conversions that leave the value
/// as it is, and whether a conversion was written or added, unless that decides whether a value is cut.
pub(crate) fn normal(expr: &Expr) -> Expr {
    expr.clone().rewrite(&mut |part| match part {
        Expr::Cast { .. } => match part.bare() {
            Expr::Cast { arg, ty, explicit } => {
                Expr::Cast { arg: arg.clone(), ty: ty.clone(), explicit: *explicit && is_cut(ty) }
            }
            bare => bare.clone(),
        },
        other => other,
    })
}

const fn is_cut(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Varchar(_) | SqlType::Char(_) | SqlType::Array(_))
}
