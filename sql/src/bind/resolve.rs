//! Which of the functions or operators of a name is meant.
//!
//! Source: PostgreSQL 15's manual, chapter 10, and `func_select_candidate`, `oper`, `func_get_detail` of its source.

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};

use super::category::{Category, category, common_type, is_preferred, same, type_name, unmodified};
use super::coerce::implicit;
use super::registry::{self, Function, Slot};
use super::rows;

/// The function chosen, and its types in this call.
pub(super) struct Resolved {
    pub function: &'static Function,
    /// What each argument is converted to.
    pub params: Vec<SqlType>,
    pub returns: SqlType,
}

/// A function with a slot for each argument.
struct Candidate {
    function: &'static Function,
    slots: Vec<&'static Slot>,
}

impl Candidate {
    fn new(function: &'static Function, count: usize) -> Option<Self> {
        let mut slots: Vec<&'static Slot> = function.params.iter().collect();
        if function.variadic && count >= slots.len() {
            slots.resize(count, function.params.last()?);
        }
        (slots.len() == count).then_some(Self { function, slots })
    }

    /// The type of a slot; polymorphic ones have none.
    fn ty(&self, slot: usize) -> Option<&'static SqlType> {
        match self.slots[slot] {
            Slot::Type(ty) => Some(ty),
            _ => None,
        }
    }

    fn is_exactly(&self, types: &[SqlType]) -> bool {
        (0..types.len()).all(|slot| self.ty(slot).is_some_and(|ty| same(ty, &types[slot])))
    }

    fn accepts(&self, types: &[SqlType]) -> bool {
        (0..types.len()).all(|slot| self.ty(slot).is_none_or(|ty| implicit(&types[slot], ty)))
            && self.resolve(types).is_some()
    }

    /// How many arguments need no conversion.
    fn exact(&self, types: &[SqlType]) -> usize {
        (0..types.len()).filter(|slot| self.matches(*slot, types)).count()
    }

    fn matches(&self, slot: usize, types: &[SqlType]) -> bool {
        types[slot] != SqlType::Unknown && self.ty(slot).is_some_and(|ty| same(ty, &types[slot]))
    }

    /// How many arguments need no conversion, or one to the preferred type of their category.
    fn preferred(&self, types: &[SqlType]) -> usize {
        let good = |slot: &usize| {
            self.matches(*slot, types)
                || types[*slot] != SqlType::Unknown
                    && self.ty(*slot).is_some_and(|ty| is_preferred(ty) && category(ty) == category(&types[*slot]))
        };
        (0..types.len()).filter(good).count()
    }

    /// The types in this call, if the polymorphic ones agree.
    fn resolve(&self, types: &[SqlType]) -> Option<Resolved> {
        let element = self.element(types)?;
        let compatible = self.compatible(types)?;
        let array = |element: &Option<SqlType>| match element {
            Some(SqlType::Array(_)) | None => None,
            Some(element) => Some(SqlType::Array(Box::new(element.clone()))),
        };
        let actual = |slot: &Slot, given: Option<&SqlType>| match slot {
            Slot::Type(ty) => Some(ty.clone()),
            Slot::Any => given.map(|ty| if *ty == SqlType::Unknown { SqlType::Text } else { ty.clone() }),
            Slot::Element | Slot::NonArray | Slot::Enum => element.clone(),
            Slot::Array => array(&element),
            Slot::Compatible => compatible.clone(),
            Slot::CompatibleArray => array(&compatible),
        };
        let params = self.slots.iter().zip(types).map(|(slot, ty)| actual(slot, Some(ty))).collect::<Option<_>>()?;
        Some(Resolved { function: self.function, params, returns: actual(&self.function.returns, None)? })
    }

    /// What `anyelement` is: the inner `None` if nothing says, the outer if the arguments disagree.
    fn element(&self, types: &[SqlType]) -> Option<Option<SqlType>> {
        let mut element: Option<SqlType> = None;
        for (slot, ty) in self.slots.iter().zip(types).filter(|(_, ty)| **ty != SqlType::Unknown) {
            let ty = match (slot, ty) {
                (Slot::Element, ty) => ty,
                (Slot::NonArray, ty) if ty.element().is_some() => return None,
                (Slot::NonArray, ty) => ty,
                (Slot::Enum, ty) if matches!(ty, SqlType::Enum(_)) => ty,
                (Slot::Enum, _) => return None,
                (Slot::Array, ty) => ty.element()?,
                _ => continue,
            };
            match &element {
                Some(other) if !same(other, ty) => return None,
                Some(_) => {}
                None => element = Some(unmodified(ty)),
            }
        }
        Some(element)
    }

    /// What `anycompatible` is.
    fn compatible(&self, types: &[SqlType]) -> Option<Option<SqlType>> {
        let mut found = Vec::new();
        let mut asked = false;
        for (slot, ty) in self.slots.iter().zip(types) {
            asked |= matches!(slot, Slot::Compatible | Slot::CompatibleArray);
            match (slot, ty) {
                (Slot::Compatible, ty) => found.push(ty),
                (Slot::CompatibleArray, ty) if *ty != SqlType::Unknown => found.push(ty.element()?),
                _ => {}
            }
        }
        if !asked {
            return Some(None);
        }
        let common = common_type(found.iter().copied(), "").ok()?;
        found.iter().all(|ty| implicit(ty, &common)).then_some(Some(common))
    }
}

/// The function of a name for arguments of these types. `None` if there is none.
pub(super) fn function(name: &str, types: &[SqlType]) -> SqlResult<Option<Resolved>> {
    if !rows::takes_rows(name) && types.iter().any(SqlType::has_rows) {
        return Err(rows::refused());
    }
    let all = candidates(name, types.len());
    if let Some(exact) = all.iter().find(|candidate| candidate.is_exactly(types)) {
        return Ok(exact.resolve(types));
    }
    select(all, types).map_err(|()| {
        let message = format!("function {} is not unique", signature(name, types));
        let hint = "Could not choose a best candidate function. You might need to add explicit type casts.";
        SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message).hint(hint)
    })
}

/// The operator of a symbol for operands of these types.
pub(super) fn operator(symbol: &str, types: &[SqlType]) -> SqlResult<Resolved> {
    if types.iter().any(SqlType::has_rows) {
        return Err(rows::refused());
    }
    let all = candidates(symbol, types.len());
    if let Some(exact) = exact_operator(&all, types) {
        return Ok(exact);
    }
    match select(all, types) {
        Ok(Some(resolved)) => Ok(resolved),
        Ok(None) => {
            let message = format!("operator does not exist: {}", operation(symbol, types));
            let hint =
                "No operator matches the given name and argument types. You might need to add explicit type casts.";
            Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).hint(hint))
        }
        Err(()) => {
            let message = format!("operator is not unique: {}", operation(symbol, types));
            let hint = "Could not choose a best candidate operator. You might need to add explicit type casts.";
            Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message).hint(hint))
        }
    }
}

/// An undecided operand is first taken to be of the other's type.
fn exact_operator(all: &[Candidate], types: &[SqlType]) -> Option<Resolved> {
    let assumed = match types {
        [SqlType::Unknown, SqlType::Unknown] => return None,
        [SqlType::Unknown, right] => [right.clone(), right.clone()].to_vec(),
        [left, SqlType::Unknown] => [left.clone(), left.clone()].to_vec(),
        types => types.to_vec(),
    };
    all.iter().find(|candidate| candidate.is_exactly(&assumed))?.resolve(&assumed)
}

/// `42883` for a function.
pub(super) fn no_function(name: &str, types: &[SqlType]) -> SqlError {
    no_function_of(name, &types.iter().map(type_name).collect::<Vec<_>>())
}

/// `42883`, with the arguments' types, and names if they have some.
pub(super) fn no_function_of(name: &str, args: &[String]) -> SqlError {
    let message = format!("function {name}({}) does not exist", args.join(", "));
    let hint = "No function matches the given name and argument types. You might need to add explicit type casts.";
    SqlError::new(SqlState::UNDEFINED_FUNCTION, message).hint(hint)
}

fn candidates(name: &str, count: usize) -> Vec<Candidate> {
    registry::named(name).iter().filter_map(|function| Candidate::new(function, count)).collect()
}

fn signature(name: &str, types: &[SqlType]) -> String {
    format!("{name}({})", types.iter().map(type_name).collect::<Vec<_>>().join(", "))
}

fn operation(symbol: &str, types: &[SqlType]) -> String {
    match types {
        [right] => format!("{symbol} {}", type_name(right)),
        [left, right] => format!("{} {symbol} {}", type_name(left), type_name(right)),
        _ => signature(symbol, types),
    }
}

/// The best candidate; `None` if none fits, an error if several fit equally well.
fn select(mut all: Vec<Candidate>, types: &[SqlType]) -> Result<Option<Resolved>, ()> {
    all.retain(|candidate| candidate.accepts(types));
    if all.is_empty() {
        return Ok(None);
    }
    keep_best(&mut all, |candidate| candidate.exact(types));
    keep_best(&mut all, |candidate| candidate.preferred(types));
    if all.len() > 1 && types.contains(&SqlType::Unknown) {
        by_category(&mut all, types);
        if all.len() > 1 {
            by_known(&mut all, types);
        }
    }
    match all.as_slice() {
        [one] => Ok(one.resolve(types)),
        _ => Err(()),
    }
}

fn keep_best(all: &mut Vec<Candidate>, score: impl Fn(&Candidate) -> usize) {
    let best = all.iter().map(&score).max();
    all.retain(|candidate| Some(score(candidate)) == best);
}

/// Undecided arguments are taken to be strings where a string is accepted, else of the one category that all accept.
fn by_category(all: &mut Vec<Candidate>, types: &[SqlType]) {
    let open = || (0..types.len()).filter(|slot| types[*slot] == SqlType::Unknown);
    let mut wanted = Vec::new();
    for slot in open() {
        let mut found: Vec<Option<Category>> = all.iter().map(|c| c.ty(slot).map(category)).collect();
        found.dedup();
        let choice = if found.contains(&Some(Category::String)) {
            Some(Category::String)
        } else if let [one] = found.as_slice() {
            *one
        } else {
            return;
        };
        let of_choice = |c: &Candidate| c.ty(slot).map(category) == choice;
        let preferred = all.iter().any(|c| of_choice(c) && c.ty(slot).is_some_and(is_preferred));
        wanted.push((slot, choice, preferred));
    }
    let fits = |candidate: &Candidate| {
        wanted.iter().all(|(slot, choice, preferred)| {
            let ty = candidate.ty(*slot);
            ty.map(category) == *choice && (!preferred || ty.is_some_and(is_preferred))
        })
    };
    if all.iter().any(fits) {
        all.retain(fits);
    }
}

/// If all that is known is of one type, the rest is taken to be of it too.
fn by_known(all: &mut Vec<Candidate>, types: &[SqlType]) {
    let mut known = types.iter().filter(|ty| **ty != SqlType::Unknown);
    let Some(first) = known.next() else { return };
    if !known.all(|ty| same(ty, first)) {
        return;
    }
    let assumed = vec![first.clone(); types.len()];
    let fits = |candidate: &Candidate| candidate.accepts(&assumed);
    if all.iter().filter(|candidate| fits(candidate)).count() == 1 {
        all.retain(fits);
    }
}
