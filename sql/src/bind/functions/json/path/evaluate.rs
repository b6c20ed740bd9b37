//! Walking along a path.

use std::cell::{Cell, OnceCell};

use annulus_relation::value::Env;
use annulus_relation::value::json::Json;
use annulus_relation::value::json::path::{Expr, Head, JsonPath, Step};
use annulus_relation::{SqlError, SqlState};

use super::item::{Item, View, size_of};
use super::layout::Offsets;
use super::numbers;

/// How deep an evaluation recurses: it needs less than half of a thread's stack.
const MAX_DEPTH: u32 = 500;
/// How many steps an evaluation takes, comparisons among them: seconds at most.
const MAX_STEPS: u64 = 20_000_000;
/// How many values an evaluation holds at a time, those inside of others counted.
const MAX_FOUND: usize = 1_000_000;

/// Why a path leads nowhere.
#[derive(Debug)]
pub(super) enum Failure {
    /// An error that predicates, operators and `silent` pass over.
    Soft(SqlError),
    /// One that nobody passes over.
    Hard(SqlError),
}

pub(super) type Walk<T> = Result<T, Failure>;

/// An error that may be passed over.
pub(super) fn soft<T>(state: SqlState, message: impl Into<String>) -> Walk<T> {
    Err(Failure::Soft(SqlError::new(state, message)))
}

fn limit(state: SqlState, message: impl Into<String>) -> Failure {
    Failure::Hard(SqlError::new(state, message))
}

/// The evaluation of a path.
pub(super) struct Evaluation<'e> {
    pub lax: bool,
    pub root: &'e Json,
    pub vars: Option<&'e Json>,
    /// Where the objects of these stand.
    pub root_offsets: OnceCell<Offsets>,
    pub vars_offsets: OnceCell<Offsets>,
    /// Whether values with and without time zones are compared.
    pub zoned: bool,
    pub env: &'e Env,
    /// What is left of the bounds.
    steps: Cell<u64>,
    room: Cell<usize>,
    /// The number of the next object that is made.
    pub next_object: Cell<i64>,
}

/// An object within which others are told apart by their place.
#[derive(Clone, Copy)]
pub(super) struct Base<'v> {
    pub object: &'v Json,
    pub id: i64,
}

/// Where an evaluation is.
#[derive(Clone, Copy)]
pub(super) struct At<'v> {
    /// `@`
    pub current: View<'v>,
    pub base: Base<'v>,
    /// How many elements the innermost array has whose subscripts are evaluated.
    pub last: Option<usize>,
    /// Whether what does not fit is passed over.
    pub lenient: bool,
    pub depth: u32,
}

/// A place in an expression: its head, or the step of a number from 1.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub expr: &'p Expr,
    at: usize,
}

impl<'p> Place<'p> {
    pub const fn start(expr: &'p Expr) -> Self {
        Self { expr, at: 0 }
    }

    pub fn next(self) -> Option<Self> {
        (self.at < self.expr.steps.len()).then_some(Self { at: self.at + 1, ..self })
    }

    fn step(self) -> Option<&'p Step> {
        self.expr.steps.get(self.at.checked_sub(1)?)
    }
}

/// Where what is found goes; `None` if only whether there is something matters.
pub(super) type Found<'f> = Option<&'f mut Vec<Item>>;

impl<'e> Evaluation<'e> {
    pub const fn new(path: &JsonPath, root: &'e Json, vars: Option<&'e Json>, zoned: bool, env: &'e Env) -> Self {
        let next_object = Cell::new(if vars.is_some() { 2 } else { 1 });
        let (steps, room) = (Cell::new(MAX_STEPS), Cell::new(MAX_FOUND));
        Self {
            lax: path.lax,
            root,
            vars,
            root_offsets: OnceCell::new(),
            vars_offsets: OnceCell::new(),
            zoned,
            env,
            steps,
            room,
            next_object,
        }
    }

    const fn begin(&self) -> At<'_> {
        let base = Base { object: self.root, id: 0 };
        At { current: View::Json(self.root), base, last: None, lenient: self.lax, depth: 0 }
    }

    /// All that the expression leads to.
    pub fn all(&self, expr: &Expr, found: &mut Vec<Item>) -> Walk<()> {
        self.execute(Place::start(expr), View::Json(self.root), self.begin(), &mut Some(found), self.lax).map(drop)
    }

    /// Whether the expression leads to something. `strict`, all must be free of errors.
    pub fn exists(&self, expr: &Expr) -> Walk<bool> {
        self.exists_at(expr, View::Json(self.root), self.begin())
    }

    pub fn exists_at(&self, expr: &Expr, item: View<'_>, at: At<'_>) -> Walk<bool> {
        if self.lax {
            return self.execute(Place::start(expr), item, at, &mut None, true);
        }
        Ok(!self.sequence(expr, item, at, false)?.is_empty())
    }

    /// What an expression leads to; with `unwrap`, the elements of arrays instead of these.
    pub fn sequence(&self, expr: &Expr, item: View<'_>, at: At<'_>, unwrap: bool) -> Walk<Vec<Item>> {
        let mut found = Vec::new();
        let room = self.room.get();
        self.execute(Place::start(expr), item, at, &mut Some(&mut found), self.lax)?;
        // It is gone before the evaluation goes on to much else.
        self.room.set(room);
        let has_arrays = unwrap && self.lax && found.iter().any(|item| item.view().array().is_some());
        if !has_arrays {
            return Ok(found);
        }
        let mut unwrapped = Vec::new();
        for item in found {
            match item {
                Item::Json(Json::Array(elements)) => unwrapped.extend(elements.into_iter().map(Item::Json)),
                other => unwrapped.push(other),
            }
        }
        Ok(unwrapped)
    }

    /// One step further.
    pub fn advance(&self) -> Walk<()> {
        let steps = self.steps.get().checked_sub(1);
        let too_many = || limit(SqlState::PROGRAM_LIMIT_EXCEEDED, "the evaluation of a jsonpath takes too many steps");
        self.steps.set(steps.ok_or_else(too_many)?);
        Ok(())
    }

    /// One level deeper, one step further.
    pub fn deeper<'v>(&self, at: At<'v>) -> Walk<At<'v>> {
        self.advance()?;
        if at.depth >= MAX_DEPTH {
            return Err(limit(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
        }
        Ok(At { depth: at.depth + 1, ..at })
    }

    /// Goes on from an item to what is behind a place, or has found it.
    pub fn go_on(&self, place: Place<'_>, item: View<'_>, at: At<'_>, found: &mut Found<'_>) -> Walk<bool> {
        match place.next() {
            Some(next) => self.execute(next, item, at, found, self.lax),
            None => self.keep(item, found),
        }
    }

    pub fn keep(&self, item: View<'_>, found: &mut Found<'_>) -> Walk<bool> {
        self.advance()?;
        if let Some(found) = found {
            let size = item.json().map_or(1, size_of);
            let too_much = || limit(SqlState::PROGRAM_LIMIT_EXCEEDED, "a jsonpath leads to too many values");
            self.room.set(self.room.get().checked_sub(size).ok_or_else(too_much)?);
            found.push(item.to_item());
        }
        Ok(true)
    }

    /// Evaluates what is at a place; `unwrap`: for each element of an array, where a step is not made for arrays.
    pub fn execute(
        &self,
        place: Place<'_>,
        item: View<'_>,
        at: At<'_>,
        found: &mut Found<'_>,
        unwrap: bool,
    ) -> Walk<bool> {
        let at = self.deeper(at)?;
        match place.step() {
            Some(step) => self.step(step, place, item, at, found, unwrap),
            None => self.head(place, item, at, found),
        }
    }

    fn head(&self, place: Place<'_>, item: View<'_>, at: At<'_>, found: &mut Found<'_>) -> Walk<bool> {
        let constant = |json: Json, found: &mut Found<'_>| self.go_on(place, View::Json(&json), at, found);
        match &place.expr.head {
            Head::Root => {
                let base = Base { object: self.root, id: 0 };
                self.go_on(place, View::Json(self.root), At { base, ..at }, found)
            }
            Head::Current => self.go_on(place, at.current, at, found),
            Head::Last => match at.last {
                Some(size) => constant(number(size as i64 - 1), found),
                None => Err(limit(SqlState::INTERNAL_ERROR, "evaluating jsonpath LAST outside of array subscript")),
            },
            Head::Null => constant(Json::Null, found),
            Head::Bool(value) => constant(Json::Bool(*value), found),
            Head::Number(value) => constant(Json::Number(value.clone()), found),
            Head::String(text) => constant(Json::String(text.clone()), found),
            Head::Variable(name) => self.variable(name, place, at, found),
            Head::Binary(operator, left, right) if numbers::is_arithmetic(*operator) => {
                let result = self.arithmetic(*operator, left, right, item, at)?;
                constant(Json::Number(result), found)
            }
            Head::Sign { minus, of } => self.signed(*minus, of, place, item, at, found),
            Head::Binary(..) | Head::Not(_) | Head::IsUnknown(_) | Head::Exists(_) | Head::LikeRegex { .. } => {
                let truth = self.test(place.expr, item, at)?;
                constant(truth.map_or(Json::Null, Json::Bool), found)
            }
        }
    }

    fn variable(&self, name: &str, place: Place<'_>, at: At<'_>, found: &mut Found<'_>) -> Walk<bool> {
        let Some(vars) = self.vars else { return self.go_on(place, View::Json(&Json::Null), at, found) };
        let missing = || {
            let message = format!("could not find jsonpath variable \"{name}\"");
            limit(SqlState::UNDEFINED_OBJECT, message)
        };
        let value = vars.member(name).ok_or_else(missing)?;
        let base = Base { object: vars, id: 1 };
        self.go_on(place, View::Json(value), At { base, ..at }, found)
    }

    fn step(
        &self,
        step: &Step,
        place: Place<'_>,
        item: View<'_>,
        at: At<'_>,
        found: &mut Found<'_>,
        unwrap: bool,
    ) -> Walk<bool> {
        let for_each_element = match step {
            Step::AnyElement | Step::Elements(_) | Step::Levels(..) => false,
            Step::Method(method) => super::methods::unwraps(*method),
            Step::Key(_) | Step::AnyKey | Step::Filter(_) | Step::Datetime(_) => true,
        };
        if let (true, Some(elements)) = (unwrap && for_each_element, item.array()) {
            return self.each(Some(place), elements.iter(), at, found, false);
        }
        match step {
            Step::Key(key) => self.key(key, place, item, at, found),
            Step::AnyKey => match item {
                View::Json(Json::Object(members)) => {
                    self.each(place.next(), members.iter().map(|(_, value)| value), at, found, self.lax)
                }
                _ if at.lenient => Ok(false),
                _ => soft(
                    SqlState::JSON_OBJECT_NOT_FOUND,
                    "jsonpath wildcard member accessor can only be applied to an object",
                ),
            },
            Step::AnyElement => match item.array() {
                Some(elements) => self.each(place.next(), elements.iter(), at, found, self.lax),
                None if self.lax => self.go_on(place, item, at, found),
                None if at.lenient => Ok(false),
                None => soft(
                    SqlState::JSON_ARRAY_NOT_FOUND,
                    "jsonpath wildcard array accessor can only be applied to an array",
                ),
            },
            Step::Elements(subscripts) => self.elements(subscripts, place, item, at, found),
            Step::Levels(first, last) => self.levels((*first, *last), place, item, at, found),
            Step::Filter(condition) => match self.test(condition, item, At { current: item, ..at })? {
                Some(true) => self.go_on(place, item, at, found),
                _ => Ok(false),
            },
            Step::Method(method) => self.method(*method, place, item, at, found),
            Step::Datetime(template) => self.datetime(template.as_deref(), place, item, at, found),
        }
    }

    fn key(&self, key: &str, place: Place<'_>, item: View<'_>, at: At<'_>, found: &mut Found<'_>) -> Walk<bool> {
        match item {
            View::Json(object @ Json::Object(_)) => match object.member(key) {
                Some(value) => self.go_on(place, View::Json(value), at, found),
                None if at.lenient => Ok(false),
                None => {
                    let message = format!("JSON object does not contain key \"{key}\"");
                    soft(SqlState::JSON_MEMBER_NOT_FOUND, message)
                }
            },
            _ if at.lenient => Ok(false),
            _ => soft(SqlState::JSON_MEMBER_NOT_FOUND, "jsonpath member accessor can only be applied to an object"),
        }
    }

    /// Evaluates what is at a place for each value, or has found it.
    pub fn each<'j>(
        &self,
        place: Option<Place<'_>>,
        values: impl Iterator<Item = &'j Json>,
        at: At<'_>,
        found: &mut Found<'_>,
        unwrap: bool,
    ) -> Walk<bool> {
        let mut any = false;
        for value in values {
            any |= self.reach(place, View::Json(value), at, found, unwrap)?;
            if any && found.is_none() {
                return Ok(true);
            }
        }
        Ok(any)
    }

    pub fn reach(
        &self,
        place: Option<Place<'_>>,
        item: View<'_>,
        at: At<'_>,
        found: &mut Found<'_>,
        unwrap: bool,
    ) -> Walk<bool> {
        match place {
            Some(place) => self.execute(place, item, at, found, unwrap),
            None => self.keep(item, found),
        }
    }
}

/// A number of JSON.
pub(super) fn number(value: i64) -> Json {
    Json::Number(value.into())
}
