//! What output columns are called.
//!
//! Source: PostgreSQL 15, `FigureColname`.

use annulus_relation::value::KnownTypes;
use sqlparser::ast::{self, SelectItem, SetExpr};

use super::{folded, parts};
use crate::bind;
use crate::system;

/// The name of an output column without an alias.
pub(crate) fn title(expr: &ast::Expr) -> String {
    figured(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// A name, and whether it is better than that of a conversion around.
fn figured(expr: &ast::Expr) -> Option<(String, bool)> {
    use ast::Expr as E;
    let strong = |name: &str| Some((name.to_owned(), true));
    match expr {
        E::Identifier(ident) => Some((folded(ident), true)),
        E::CompoundIdentifier(idents) => idents.last().map(|ident| (folded(ident), true)),
        E::Nested(inner) | E::Collate { expr: inner, .. } => figured(inner),
        E::CompoundFieldAccess { root, access_chain } => {
            let field = access_chain.iter().rev().find_map(|access| match access {
                ast::AccessExpr::Dot(E::Identifier(ident)) => Some((folded(ident), true)),
                _ => None,
            });
            field.or_else(|| figured(root))
        }
        E::Function(function) => parts(&function.name).ok().and_then(|mut names| names.pop()).map(|name| (name, true)),
        E::Cast { expr, data_type, .. } => match figured(expr) {
            Some((name, true)) => Some((name, true)),
            _ => type_title(data_type).map(|name| (name, false)),
        },
        E::TypedString(typed) => type_title(&typed.data_type).map(|name| (name, false)),
        E::Interval(_) => Some(("interval".to_owned(), false)),
        E::Case { else_result, .. } => match else_result.as_deref().and_then(figured) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        E::Exists { negated: false, .. } => strong("exists"),
        E::Array(_) => strong("array"),
        E::Subquery(query) => first_title(query),
        E::Extract { .. } => strong("extract"),
        E::Ceil { .. } => strong("ceil"),
        E::Floor { .. } => strong("floor"),
        E::Position { .. } => strong("position"),
        E::Substring { shorthand, .. } => strong(if *shorthand { "substr" } else { "substring" }),
        E::Overlay { .. } => strong("overlay"),
        E::AtTimeZone { .. } => strong("timezone"),
        E::Trim { trim_where, .. } => strong(match trim_where {
            Some(ast::TrimWhereField::Leading) => "ltrim",
            Some(ast::TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        E::Tuple(_) => strong("row"),
        _ => None,
    }
}

/// The name of a type in the system catalog; of an array that of its elements, as it is written.
fn type_title(ty: &ast::DataType) -> Option<String> {
    use ast::ArrayElemTypeDef::{AngleBracket, SquareBracket};
    if let ast::DataType::Array(SquareBracket(element, _) | AngleBracket(element)) = ty {
        return type_title(element);
    }
    match (bind::sql_type(ty, &KnownTypes::default()), ty) {
        (Ok(ty), _) => Some(system::type_name(&ty)),
        (Err(_), ast::DataType::Custom(name, _)) => Some(name.0.last()?.as_ident()?.value.clone()),
        _ => None,
    }
}

/// The name of a query's first column.
fn first_title(query: &ast::Query) -> Option<(String, bool)> {
    let mut body = &*query.body;
    loop {
        body = match body {
            SetExpr::SetOperation { left, .. } => left,
            SetExpr::Query(query) => &query.body,
            SetExpr::Values(_) => return Some(("column1".to_owned(), true)),
            SetExpr::Select(select) => {
                return match select.projection.first()? {
                    SelectItem::ExprWithAlias { alias, .. } => Some((folded(alias), true)),
                    SelectItem::UnnamedExpr(expr) => Some((title(expr), true)),
                    _ => None,
                };
            }
            _ => return None,
        };
    }
}
