//! `FROM`.

use annulus_relation::{SqlError, SqlResult, SqlState};
use datafusion::common::JoinType;
use sqlparser::ast::{JoinConstraint, TableAlias, TableFactor, TableWithJoins};

use super::join::{Kind, kind};
use super::names::Mode;
use super::sort::SortKey;
use super::subquery::User;
use super::{Rel, Translator};

const CROSS: Kind<'static> = Kind { join: JoinType::Inner, constraint: None };

impl Translator<'_> {
    /// The relation that `FROM` names. It has the columns of the surroundings already if they are needed in it.
    pub(super) fn from(&mut self, from: &[TableWithJoins]) -> SqlResult<Rel> {
        let missed = self.missed.replace(false);
        let rel = self.tables(Rel::unit()?, from)?;
        if !self.missed.replace(missed) || !matches!(self.mode, Mode::Given(Some(_))) {
            return Ok(rel);
        }
        let start = self.attach_domain(Rel::unit()?)?;
        self.tables(start, from)
    }

    fn tables(&mut self, start: Rel, from: &[TableWithJoins]) -> SqlResult<Rel> {
        let mut rel = start;
        for item in from {
            if is_lateral(item) || !rel.outer.is_empty() {
                rel = self.joins(rel, item)?;
            } else {
                let own = self.joins(Rel::unit()?, item)?;
                rel = self.combine(rel, own, &CROSS)?;
            }
        }
        Ok(rel)
    }

    /// An item with its joins. Joins bind tighter than commas; what stands before the comma is given for what is
    /// lateral.
    fn joins(&mut self, before: Rel, item: &TableWithJoins) -> SqlResult<Rel> {
        let alone = before.columns.is_empty();
        let mut rel = self.factor(before, &item.relation, &CROSS)?;
        for join in &item.joins {
            let kind = kind(&join.join_operator)?;
            if !alone && (matches!(kind.join, JoinType::Right | JoinType::Full) || uses_names(kind.constraint)) {
                return Err(SqlError::unsupported("this join beside LATERAL"));
            }
            rel = self.factor(rel, &join.relation, &kind)?;
        }
        Ok(rel)
    }

    /// A relation joined with one more table.
    fn factor(&mut self, left: Rel, factor: &TableFactor, kind: &Kind<'_>) -> SqlResult<Rel> {
        match factor {
            TableFactor::Table {
                name, alias, args: None, with_ordinality: false, sample: None, version: None, ..
            } => match self.correlated_cte(name) {
                Some(cte) => {
                    let seen = self.outside(&left)?;
                    let sub = self.over(&seen, User::From, &mut |translator| translator.correlated_rel(&cte))?;
                    self.with_subquery(left, sub, alias.as_ref(), kind)
                }
                None => {
                    let table = self.relation(name)?;
                    let table = self.aliased(table, alias.as_ref())?;
                    self.combine(left, table, kind)
                }
            },
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                self.function(left, name, &args.args, *with_ordinality, alias.as_ref(), kind)
            }
            TableFactor::Function { name, args, with_ordinality, alias, .. } => {
                self.function(left, name, args, *with_ordinality, alias.as_ref(), kind)
            }
            TableFactor::UNNEST { array_exprs, with_ordinality, alias, .. } => {
                self.unnest(left, array_exprs, *with_ordinality, alias.as_ref(), kind)
            }
            TableFactor::Derived { lateral, subquery, alias, sample: None } => {
                // Only LATERAL sees what stands before it; the query around is seen in any case.
                let seen = if *lateral { left.clone() } else { self.outside(&left)? };
                let sub = self.over(&seen, User::From, &mut |translator| translator.query(subquery))?;
                self.with_subquery(left, sub, alias.as_ref(), kind)
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let nested = self.joins(Rel::unit()?, table_with_joins)?;
                let nested = self.aliased(nested, alias.as_ref())?;
                self.combine(left, nested, kind)
            }
            other => Err(SqlError::unsupported(format!("\"{other}\" in FROM"))),
        }
    }

    /// A relation joined with a subquery, which may refer to what is around or, if it is lateral, to the relation.
    fn with_subquery(&mut self, left: Rel, sub: Rel, alias: Option<&TableAlias>, kind: &Kind<'_>) -> SqlResult<Rel> {
        let sub = self.once(sub)?;
        let sub = self.aliased(sub, alias)?;
        match sub.outer.is_empty() {
            true => self.combine(left, sub, kind),
            false => self.lateral(left, sub, kind),
        }
    }

    /// The relation without its own columns: only those of the surroundings.
    fn outside(&self, rel: &Rel) -> SqlResult<Rel> {
        let mut seen = rel.clone();
        for column in &mut seen.columns {
            column.seen = super::Seen::Never;
        }
        Ok(seen)
    }

    pub(super) fn combine(&mut self, left: Rel, right: Rel, kind: &Kind<'_>) -> SqlResult<Rel> {
        for column in right.columns.iter().filter(|column| column.seen != super::Seen::Never) {
            // Only relations that go by their own names may share it, if they are in different schemas.
            let apart =
                |other: &super::Col| column.schema.is_some() && other.schema.is_some() && other.schema != column.schema;
            let same =
                |other: &super::Col| other.seen != super::Seen::Never && other.table == column.table && !apart(other);
            if column.table.is_some() && left.columns.iter().any(same) {
                let name = column.table.as_deref().unwrap_or_default();
                let message = format!("table name \"{name}\" specified more than once");
                return Err(SqlError::new(SqlState::DUPLICATE_ALIAS, message));
            }
        }
        if left.columns.is_empty() && kind.join == JoinType::Inner && kind.constraint.is_none() {
            return Ok(right);
        }
        self.join(left, right, kind)
    }

    /// A relation joined with a subquery that refers to it.
    fn lateral(&mut self, left: Rel, sub: Rel, kind: &Kind<'_>) -> SqlResult<Rel> {
        if !matches!(kind.join, JoinType::Inner | JoinType::Left) {
            return Err(SqlError::unsupported("LATERAL on the nullable side of a join"));
        }
        let sub = if kind.join == JoinType::Left { self.witnessed(sub)? } else { sub };
        let offset = left.columns.len();
        let mut combined = left.clone();
        combined.columns.extend(sub.columns.iter().cloned());
        let mut conditions = self.belongs(&combined, &sub, offset)?;
        match kind.constraint {
            Some(JoinConstraint::On(condition)) => {
                let site = super::expressions::Site::new(&combined, "JOIN/ON");
                let bound = self.bind(site, condition, super::expressions::Wish::Condition)?;
                conditions.push(self.lower(&combined, &bound)?);
            }
            Some(JoinConstraint::Using(_) | JoinConstraint::Natural) => {
                return Err(SqlError::unsupported("USING with LATERAL"));
            }
            _ => {}
        }
        // Beside columns of the surroundings only, the rows keep their order.
        if left.visible().next().is_none() && sub.order.len() > combined.order.len() {
            combined.order = sub.order.iter().map(|key| SortKey { number: key.number + offset, ..*key }).collect();
        }
        let right = Rel { outer: Vec::new(), ..sub };
        self.joined(combined, left, right, kind.join, conditions)
    }
}

fn uses_names(constraint: Option<&JoinConstraint>) -> bool {
    matches!(constraint, Some(JoinConstraint::Using(_) | JoinConstraint::Natural))
}

/// Whether an item may refer to those before it.
fn is_lateral(item: &TableWithJoins) -> bool {
    let lateral = |factor: &TableFactor| match factor {
        TableFactor::Derived { lateral, .. } => *lateral,
        TableFactor::Table { args, .. } => args.is_some(),
        TableFactor::Function { .. } | TableFactor::UNNEST { .. } => true,
        _ => false,
    };
    std::iter::once(&item.relation).chain(item.joins.iter().map(|join| &join.relation)).any(lateral)
}
