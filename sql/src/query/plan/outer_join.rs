//! Subqueries in the condition of an outer join: each is joined to the side that it is about before the sides are joined,
//! since rows that the condition is not true for stay.

use annulus_relation::{SqlError, SqlResult};
use sqlparser::ast;

use super::expressions::Parts;
use super::names::{as_name, find};
use super::subquery::{compared_with, find_parts, has_subquery, is_subquery, query_of};
use super::{Col, Rel, Translator, folded};

impl Translator<'_> {
    /// Joins the subqueries in conditions to the sides that they are about; gives what stands for them over both sides.
    pub(super) fn attach_to_sides(
        &mut self,
        left: &mut Rel,
        right: &mut Rel,
        conditions: &[&ast::Expr],
    ) -> SqlResult<Parts> {
        let (mut lefts, mut rights) = (Parts::new(), Parts::new());
        for part in conditions.iter().flat_map(|condition| find_parts(condition, &is_subquery)) {
            let (side, parts) = match self.is_about_right(left, right, &part)? {
                true => (&mut *right, &mut rights),
                false => (&mut *left, &mut lefts),
            };
            self.attach_subqueries(side, &part, parts, None, "JOIN/ON")?;
        }
        let offset = left.columns.len();
        for (part, stands) in rights {
            lefts.extend(stands.move_columns(&|number| Some(number + offset)).map(|stands| (part, stands)));
        }
        Ok(lefts)
    }

    /// Whether a subquery, with what it is compared with, refers to the right side.
    fn is_about_right(&mut self, left: &Rel, right: &Rel, part: &ast::Expr) -> SqlResult<bool> {
        let columns: Vec<Col> = left.columns.iter().chain(&right.columns).cloned().collect();
        let both = Rel { columns, ..left.clone() };
        let mut used = Vec::new();
        if let Some(query) = query_of(part) {
            let wanted = self.wants(&both, query)?;
            used.extend((0..both.columns.len()).filter(|n| wanted.contains(&both.columns[*n].field.flat_name())));
        }
        let compared = compared_with(part);
        for name in compared.iter().flat_map(|expr| find_parts(expr, &|part| as_name(part).is_some())) {
            let names: Vec<String> = as_name(&name).unwrap_or_default().iter().map(folded).collect();
            used.extend(find(&both.columns, &names.iter().map(String::as_str).collect::<Vec<_>>())?);
        }
        let is_right = |number: &usize| *number >= left.columns.len();
        if (used.iter().any(is_right) && !used.iter().all(is_right)) || compared.is_some_and(has_subquery) {
            return Err(SqlError::unsupported("a subquery about both sides in the condition of an outer join"));
        }
        Ok(used.iter().any(is_right))
    }
}
