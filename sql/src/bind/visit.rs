//! Going over all parts of an expression.

use super::expr::{Call, Expr};

impl Expr {
    /// Shows every part to `see`, the whole first.
    pub fn walk<'e>(&'e self, see: &mut dyn FnMut(&'e Expr)) {
        see(self);
        self.children(&mut |child| child.walk(see));
    }

    /// Shows its direct parts.
    pub fn children<'e>(&'e self, see: &mut dyn FnMut(&'e Expr)) {
        match self {
            Self::Column { .. } | Self::Param { .. } | Self::Const(_) | Self::CaseOperand { .. } => {}
            Self::Call(call) | Self::Distinct { equal: call, .. } | Self::NullIf { equal: call } => {
                call.args.iter().for_each(see);
            }
            Self::And(parts)
            | Self::Or(parts)
            | Self::Coalesce { args: parts, .. }
            | Self::Extreme { args: parts, .. }
            | Self::Array { elements: parts, .. } => parts.iter().for_each(see),
            Self::Not(arg) | Self::Is { arg, .. } | Self::Cast { arg, .. } => see(arg),
            Self::Quantified { left, array, .. } => [left, array].into_iter().for_each(|part| see(part)),
            Self::Case { operand, arms, otherwise, .. } => {
                operand.iter().for_each(|part| see(part));
                for (condition, result) in arms {
                    see(condition);
                    see(result);
                }
                see(otherwise);
            }
            Self::Element { array, index, .. } => [array, index].into_iter().for_each(|part| see(part)),
            Self::Slice { array, low, high } => {
                see(array);
                low.iter().chain(high).for_each(|part| see(part));
            }
        }
    }

    /// The same with every part replaced by what `change` makes of it; the innermost first.
    #[must_use]
    pub fn rewrite(self, change: &mut dyn FnMut(Expr) -> Expr) -> Self {
        let inner = self.map_children(&mut |child| child.rewrite(change));
        change(inner)
    }

    /// The same with the columns at other places of the row; `None` if one has no place there.
    #[must_use]
    pub fn move_columns(self, place: &dyn Fn(usize) -> Option<usize>) -> Option<Self> {
        let mut whole = true;
        let moved = self.rewrite(&mut |part| match part {
            Self::Column { index, ty } => {
                let to = place(index);
                whole &= to.is_some();
                Self::Column { index: to.unwrap_or(index), ty }
            }
            other => other,
        });
        whole.then_some(moved)
    }

    fn map_children(self, map: &mut dyn FnMut(Expr) -> Expr) -> Self {
        let mut one = |part: Box<Expr>| Box::new(map(*part));
        match self {
            Self::Column { .. } | Self::Param { .. } | Self::Const(_) | Self::CaseOperand { .. } => self,
            Self::Not(arg) => Self::Not(one(arg)),
            Self::Is { arg, test, negated } => Self::Is { arg: one(arg), test, negated },
            Self::Cast { arg, ty, explicit } => Self::Cast { arg: one(arg), ty, explicit },
            Self::Quantified { operator, all, left, array } => {
                Self::Quantified { operator, all, left: one(left), array: one(array) }
            }
            Self::Element { array, index, ty } => Self::Element { array: one(array), index: one(index), ty },
            Self::Slice { array, low, high } => {
                Self::Slice { array: one(array), low: low.map(&mut one), high: high.map(one) }
            }
            Self::Case { operand, arms, otherwise, ty } => Self::Case {
                operand: operand.map(&mut one),
                arms: arms.into_iter().map(|(condition, result)| (map(condition), map(result))).collect(),
                otherwise: Box::new(map(*otherwise)),
                ty,
            },
            Self::Call(call) => Self::Call(map_call(call, map)),
            Self::Distinct { equal, negated } => Self::Distinct { equal: map_call(equal, map), negated },
            Self::NullIf { equal } => Self::NullIf { equal: map_call(equal, map) },
            Self::And(parts) => Self::And(parts.into_iter().map(map).collect()),
            Self::Or(parts) => Self::Or(parts.into_iter().map(map).collect()),
            Self::Coalesce { args, ty } => Self::Coalesce { args: args.into_iter().map(map).collect(), ty },
            Self::Extreme { greatest, args, ty } => {
                Self::Extreme { greatest, args: args.into_iter().map(map).collect(), ty }
            }
            Self::Array { elements, ty } => Self::Array { elements: elements.into_iter().map(map).collect(), ty },
        }
    }
}

fn map_call(mut call: Box<Call>, map: &mut dyn FnMut(Expr) -> Expr) -> Box<Call> {
    call.args = call.args.into_iter().map(map).collect();
    call
}
