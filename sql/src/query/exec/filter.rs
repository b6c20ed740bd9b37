//! The facts of filters as DataFusion runs them.

use std::any::Any;
use std::sync::Arc;

use annulus_relation::catalog::Table;
use annulus_relation::{SqlType, Value};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, DynamicFilterPhysicalExpr, InListExpr, IsNotNullExpr, IsNullExpr, Literal, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use super::super::arrow::{self, value_of};
use super::super::scalar::RowFunction;
use crate::bind::Expr;
use crate::conditions::{Comparison, Facts, normal};

type Physical = Arc<dyn PhysicalExpr>;

/// What a filter over all columns of a table says. What is not understood is passed over.
pub(super) fn facts_of(table: &Table, filter: Option<&Physical>) -> Facts {
    let mut facts = Facts::default();
    if let Some(filter) = filter {
        Learning { table, facts: &mut facts }.learn(filter);
    }
    facts
}

struct Learning<'a> {
    table: &'a Table,
    facts: &'a mut Facts,
}

impl Learning<'_> {
    fn learn(&mut self, filter: &Physical) {
        let expr = filter.as_ref() as &dyn Any;
        if let Some(dynamic) = expr.downcast_ref::<DynamicFilterPhysicalExpr>() {
            if let Ok(current) = dynamic.current() {
                self.learn(&current);
            }
        } else if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            self.learn_binary(binary);
        } else if let Some(list) = expr.downcast_ref::<InListExpr>() {
            self.learn_list(list);
        } else if let Some(null) = expr.downcast_ref::<IsNullExpr>() {
            self.is(null.arg(), Value::Null);
        } else if let Some(known) = expr.downcast_ref::<IsNotNullExpr>() {
            if let Some(subject) = self.subject(known.arg()) {
                self.facts.not_null(subject);
            }
        } else if let Some(not) = expr.downcast_ref::<NotExpr>() {
            self.is(not.arg(), Value::Bool(false));
        } else if let Some(literal) = expr.downcast_ref::<Literal>() {
            if !matches!(literal.value(), ScalarValue::Boolean(Some(true))) {
                self.facts.never();
            }
        } else {
            self.is(filter, Value::Bool(true));
        }
    }

    fn learn_binary(&mut self, binary: &BinaryExpr) {
        let (left, right) = (binary.left(), binary.right());
        match binary.op() {
            Operator::And => {
                self.learn(left);
                self.learn(right);
            }
            Operator::Or => {
                // DataFusion writes short lists so.
                let sides = branches(left).into_iter().chain(branches(right));
                self.facts.any(sides.map(|side| facts_of(self.table, Some(side))).collect());
            }
            Operator::IsNotDistinctFrom => {
                if let Some((subject, value)) = self.subject_and_value(left, right) {
                    self.facts.one_of(subject, vec![value]);
                }
            }
            op => {
                let Some(comparison) = comparison_of(*op) else { return };
                if let Some((subject, value)) = self.subject_and_value(left, right) {
                    self.facts.compares(subject, comparison, value);
                } else if let Some((subject, value)) = self.subject_and_value(right, left) {
                    self.facts.compares(subject, comparison.turned(), value);
                }
            }
        }
    }

    fn learn_list(&mut self, list: &InListExpr) {
        let Some(subject) = self.subject(list.expr()) else { return };
        let Some(values) = list.list().iter().map(|item| literal(item, subject.ty())).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        match list.negated() {
            true => values.into_iter().for_each(|v| self.facts.compares(subject.clone(), Comparison::NotEqual, v)),
            false => self.facts.one_of(subject, values.into_iter().filter(|value| !value.is_null()).collect()),
        }
    }

    fn is(&mut self, expr: &Physical, value: Value) {
        if let Some(subject) = self.subject(expr) {
            self.facts.one_of(subject, vec![value]);
        }
    }

    fn subject_and_value(&self, side: &Physical, other: &Physical) -> Option<(Expr, Value)> {
        let subject = self.subject(side)?;
        let value = literal(other, subject.ty())?;
        Some((subject, value))
    }

    /// What an operand is over the table's columns, if its arrays compare as its values do.
    fn subject(&self, operand: &Physical) -> Option<Expr> {
        let expr = operand.as_ref() as &dyn Any;
        let subject = match expr.downcast_ref::<ScalarFunctionExpr>() {
            Some(call) => {
                let function = (call.fun().inner().as_ref() as &dyn Any).downcast_ref::<RowFunction>()?.fixed()?;
                let places = call.args().iter().map(place).collect::<Option<Vec<_>>>()?;
                normal(&function.clone().move_columns(&|argument| places.get(argument).copied())?)
            }
            None => {
                let place = place(operand)?;
                Expr::column(place, self.table.columns.get(place)?.ty.clone())
            }
        };
        (arrow::comparison(subject.ty()) == Ok(arrow::Comparison::Native)).then_some(subject)
    }
}

/// The conditions of which one is true where this one is.
fn branches(condition: &Physical) -> Vec<&Physical> {
    match (condition.as_ref() as &dyn Any).downcast_ref::<BinaryExpr>() {
        Some(either) if *either.op() == Operator::Or => {
            [either.left(), either.right()].into_iter().flat_map(branches).collect()
        }
        _ => vec![condition],
    }
}

fn place(column: &Physical) -> Option<usize> {
    (column.as_ref() as &dyn Any).downcast_ref::<Column>().map(Column::index)
}

fn literal(expr: &Physical, ty: &SqlType) -> Option<Value> {
    let literal = (expr.as_ref() as &dyn Any).downcast_ref::<Literal>()?;
    value_of(ty, literal.value()).ok()
}

fn comparison_of(op: Operator) -> Option<Comparison> {
    Some(match op {
        Operator::Eq => Comparison::Equal,
        Operator::NotEq => Comparison::NotEqual,
        Operator::Lt => Comparison::Less,
        Operator::LtEq => Comparison::AtMost,
        Operator::Gt => Comparison::Greater,
        Operator::GtEq => Comparison::AtLeast,
        _ => return None,
    })
}
