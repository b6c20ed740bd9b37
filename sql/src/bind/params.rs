//! The types of a statement's parameters.

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType};

/// How many parameters a statement may have: the protocol counts them in 16 bits.
const MAX_PARAMS: usize = 65_535;

/// What is known of the parameters: `$1` is the first.
///
/// A client may declare types; the others follow from where the parameters stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParamTypes {
    types: Vec<Option<SqlType>>,
    /// Which of them stand where a string literal stood.
    literals: Vec<bool>,
}

impl ParamTypes {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What a client declared; `None` leaves a type open, as does `Unknown`, which says that a string literal stood there.
    #[must_use]
    pub fn declared(types: Vec<Option<SqlType>>) -> Self {
        let literals = types.iter().map(|ty| *ty == Some(SqlType::Unknown)).collect();
        Self { types: types.into_iter().map(|ty| ty.filter(|ty| *ty != SqlType::Unknown)).collect(), literals }
    }

    /// Whether a parameter, counted from 0, stands where a string literal stood.
    pub(super) fn is_literal(&self, index: usize) -> bool {
        self.literals.get(index).is_some_and(|is| *is)
    }

    /// The type of a parameter, counted from 0, as far as it is known.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&SqlType> {
        self.types.get(index)?.as_ref()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// Whether there is one whose type nothing has decided yet.
    #[must_use]
    pub fn any_open(&self) -> bool {
        self.types.iter().any(Option::is_none)
    }

    /// All types, once everything is bound; `42P18` if one stayed open.
    pub fn finish(&self) -> SqlResult<Vec<SqlType>> {
        let open = |index: usize| {
            let message = format!("could not determine data type of parameter ${}", index + 1);
            SqlError::new(SqlState::INDETERMINATE_DATATYPE, message)
        };
        self.types.iter().enumerate().map(|(index, ty)| ty.clone().ok_or_else(|| open(index))).collect()
    }

    /// Notes that a parameter is used: its type, or `Unknown`.
    pub(super) fn refer(&mut self, number: &str) -> SqlResult<(usize, SqlType)> {
        let number: usize = number.parse().unwrap_or(0);
        if number == 0 || number > MAX_PARAMS {
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter ${number}")));
        }
        let index = number - 1;
        if index >= self.types.len() {
            self.types.resize(index + 1, None);
        }
        Ok((index, self.types[index].clone().unwrap_or(SqlType::Unknown)))
    }

    /// Decides the type of a parameter that was open when it was used.
    pub(super) fn decide(&mut self, index: usize, ty: &SqlType) -> SqlResult<()> {
        match &self.types[index] {
            None => self.types[index] = Some(ty.clone()),
            Some(other) if other == ty => {}
            Some(other) => {
                let message = format!("inconsistent types deduced for parameter ${}", index + 1);
                let detail = format!("{} versus {}", other.name(), ty.name());
                return Err(SqlError::new(SqlState("42P08"), message).detail(detail));
            }
        }
        Ok(())
    }
}
