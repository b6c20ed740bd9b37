//! `UNION`, `INTERSECT` and `EXCEPT`.

use annulus_relation::value::CastContext;
use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};
use datafusion::common::JoinType;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Operator, binary_expr, lit};
use sqlparser::ast::{SetExpr, SetOperator, SetQuantifier};

use super::expressions::bound;
use super::{Col, Rel, Seen, Translator, built};
use crate::bind;
use crate::query::scalar::key;

impl Translator<'_> {
    /// The rows of two queries combined.
    pub(super) fn set_operation(
        &mut self,
        left: &SetExpr,
        op: SetOperator,
        quantifier: SetQuantifier,
        right: &SetExpr,
        wanted: &[SqlType],
    ) -> SqlResult<Rel> {
        let all = match quantifier {
            SetQuantifier::All => true,
            SetQuantifier::Distinct | SetQuantifier::None => false,
            _ => return Err(SqlError::unsupported("BY NAME")),
        };
        let name = match op {
            SetOperator::Union => "UNION",
            SetOperator::Intersect => "INTERSECT",
            SetOperator::Except | SetOperator::Minus => "EXCEPT",
        };
        let open = std::mem::replace(&mut self.open, true);
        let branches = self.branch(left, &[]).and_then(|one| Ok((one, self.branch(right, &[])?)));
        self.open = open;
        let (mut one, mut two) = branches?;
        let types = common_types(&one, &two, wanted, name)?;
        // Literals and parameters take the type that the other side gives them.
        if self.is_open(&one, &types) {
            one = self.branch(left, &types)?;
        }
        if self.is_open(&two, &types) {
            two = self.branch(right, &types)?;
        }
        let (one, two) = (self.aligned(one, &types)?, self.aligned(two, &types)?);
        match op {
            SetOperator::Union => {
                let union = self.union_all(one, two)?;
                if all { Ok(union) } else { self.without_duplicates(union) }
            }
            SetOperator::Intersect => self.matched(one, two, all, JoinType::LeftSemi),
            SetOperator::Except | SetOperator::Minus => self.matched(one, two, all, JoinType::LeftAnti),
        }
    }

    /// Whether a column is a literal that shall become something else than text, or a parameter that nothing decided.
    fn is_open(&self, rel: &Rel, types: &[SqlType]) -> bool {
        let any = self.params.any_open();
        rel.visible().zip(types).any(|(column, ty)| column.ty == SqlType::Unknown && (any || *ty != SqlType::Text))
    }

    fn branch(&mut self, body: &SetExpr, wanted: &[SqlType]) -> SqlResult<Rel> {
        self.deeper(|translator| translator.body(body, wanted))
    }

    /// The relation with columns of the surroundings first, then the visible ones in the types given; no others.
    pub(super) fn aligned(&mut self, rel: Rel, types: &[SqlType]) -> SqlResult<Rel> {
        let rel = self.attach_domain(rel)?;
        let mut exprs = Vec::new();
        let mut result = Rel::new(rel.plan.clone(), Vec::new());
        let mut outer = rel.outer.clone();
        outer.sort();
        for (name, number) in outer {
            let old = &rel.columns[number];
            let (expr, column) = self.computed(&old.name, old.ty.clone(), old.nullable, old.expr());
            exprs.push(expr);
            result.outer.push((name, result.columns.len()));
            result.columns.push(column.hidden());
        }
        let visible = (0..rel.columns.len()).filter(|number| rel.columns[*number].seen == Seen::Always);
        for (number, ty) in visible.zip(types) {
            let old = &rel.columns[number];
            let converted = match old.ty {
                SqlType::Unknown => bind::Expr::column(number, ty.clone()),
                _ => self.coerce(bound(&rel, number), ty, CastContext::Implicit)?,
            };
            let value = self.lower(&rel, &converted)?;
            let (expr, column) = self.computed(&old.name, ty.clone(), old.nullable, value);
            exprs.push(expr);
            result.columns.push(column);
        }
        result.plan = built(rel.builder().project(exprs).and_then(LogicalPlanBuilder::build))?;
        Ok(result)
    }

    /// All rows of two relations with the same columns.
    pub(super) fn union_all(&mut self, one: Rel, two: Rel) -> SqlResult<Rel> {
        let plan = built(one.builder().union(two.plan).and_then(LogicalPlanBuilder::build))?;
        let mut rel = Rel { plan, order: Vec::new(), single: false, equated: false, empty: None, ..one };
        for (column, other) in rel.columns.iter_mut().zip(&two.columns) {
            column.nullable |= other.nullable;
        }
        Ok(rel)
    }

    /// The relation's rows, each once.
    pub(super) fn without_duplicates(&mut self, rel: Rel) -> SqlResult<Rel> {
        let all: Vec<usize> = (0..rel.columns.len()).filter(|n| rel.columns[*n].seen == Seen::Always).collect();
        self.distinct(rel, &all)
    }

    /// The rows that the other relation has too, or has not.
    fn matched(&mut self, one: Rel, two: Rel, all: bool, join: JoinType) -> SqlResult<Rel> {
        let (mut one, mut two) = match all {
            true => (one, two),
            false => (self.without_duplicates(one)?, two),
        };
        if all {
            // The first of equal rows matches the first one there, the second one the second.
            for rel in [&mut one, &mut two] {
                let every: Vec<usize> = (0..rel.columns.len()).collect();
                self.numbered(rel, &every, Vec::new())?;
            }
        }
        let pairs = Self::pairs(&one, &two);
        let conditions = pairs.into_iter().map(|(left, right)| {
            let (left, right) = (key(left.expr(), &left.ty)?, key(right.expr(), &right.ty)?);
            Ok(binary_expr(left, Operator::IsNotDistinctFrom, right))
        });
        let mut conditions = conditions.collect::<SqlResult<Vec<Expr>>>()?;
        if conditions.is_empty() {
            // Rows without columns are all the same.
            conditions.push(lit(true));
        }
        one.plan = built(one.builder().join_on(two.plan, join, conditions).and_then(LogicalPlanBuilder::build))?;
        one.columns.truncate(one.columns.len() - usize::from(all));
        Ok(one)
    }

    /// The columns that correspond: those of the surroundings by name, the others by place.
    fn pairs<'r>(one: &'r Rel, two: &'r Rel) -> Vec<(&'r Col, &'r Col)> {
        let outer = one.outer.iter().filter_map(|(name, number)| {
            let (_, other) = two.outer.iter().find(|(known, _)| known == name)?;
            Some((&one.columns[*number], &two.columns[*other]))
        });
        let own = |rel: &'r Rel| {
            let is_outer = |number: usize| rel.outer.iter().any(|(_, known)| *known == number);
            rel.columns.iter().enumerate().filter(move |(number, _)| !is_outer(*number)).map(|(_, column)| column)
        };
        outer.chain(own(one).zip(own(two))).collect()
    }
}

/// The types in which the columns of both sides are given.
fn common_types(one: &Rel, two: &Rel, wanted: &[SqlType], name: &str) -> SqlResult<Vec<SqlType>> {
    if one.visible().count() != two.visible().count() {
        let message = format!("each {name} query must have the same number of columns");
        return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
    }
    let common = |(place, (one, two)): (usize, (&Col, &Col))| {
        if one.ty == SqlType::Unknown && two.ty == SqlType::Unknown {
            return Ok(wanted.get(place).cloned().unwrap_or(SqlType::Text));
        }
        bind::common_type([&one.ty, &two.ty], name)
    };
    one.visible().zip(two.visible()).enumerate().map(common).collect()
}
