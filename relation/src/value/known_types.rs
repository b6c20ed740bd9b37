//! The types of a database's own that a statement may name, and which of them it has named.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::{EnumType, SqlType};
use crate::catalog::{OWN, is_temporary};

/// The types that users have made.
#[derive(Debug, Default)]
pub struct MadeTypes {
    by_number: BTreeMap<u32, EnumType>,
    /// By name, and by the name of the schema.
    by_name: BTreeMap<String, BTreeMap<String, EnumType>>,
}

impl MadeTypes {
    /// All of these, which are known.
    #[must_use]
    pub fn new(types: impl IntoIterator<Item = EnumType>) -> Self {
        let mut made = Self::default();
        for ty in types {
            if let Some(known) = ty.known() {
                let namesakes = made.by_name.entry(known.name.clone()).or_default();
                namesakes.insert(known.schema.clone(), ty.clone());
            }
            made.by_number.insert(ty.number(), ty);
        }
        made
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// The enumeration of a number.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Option<&EnumType> {
        self.by_number.get(&number)
    }

    /// All that is known of enumerations is put into a type.
    pub fn resolve(&self, ty: &mut SqlType) {
        match ty {
            SqlType::Array(element) => self.resolve(element),
            SqlType::Enum(own) => {
                *own = self.numbered(own.number()).cloned().unwrap_or(EnumType::unknown(own.number()))
            }
            _ => {}
        }
    }
}

/// The types that users have made, as a session finds them.
///
/// Nothing is known by default: then enumerations are named by their numbers only.
#[derive(Clone, Debug, Default)]
pub struct KnownTypes {
    made: Option<Arc<MadeTypes>>,
    /// The schemas in which names are looked up.
    path: Arc<[String]>,
    used: Arc<Mutex<BTreeSet<u32>>>,
}

/// What types there are makes no difference between values that are equal otherwise.
impl PartialEq for KnownTypes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl KnownTypes {
    /// The types of a database, with the schemas in which names are looked up.
    #[must_use]
    pub fn new(made: Arc<MadeTypes>, path: Arc<[String]>) -> Self {
        Self { made: Some(made), path, used: Arc::default() }
    }

    /// The types of a database: these, if they are of it.
    #[must_use]
    pub fn of(&self, made: &Arc<MadeTypes>, path: &Arc<[String]>) -> Self {
        match self.is_of(made, path) {
            true => self.clone(),
            false => Self::new(Arc::clone(made), Arc::clone(path)),
        }
    }

    /// Whether they are the types of this database, looked up in these schemas.
    #[must_use]
    pub fn is_of(&self, made: &Arc<MadeTypes>, path: &Arc<[String]>) -> bool {
        self.made.as_ref().is_some_and(|own| Arc::ptr_eq(own, made)) && self.path == *path
    }

    /// Whether nothing is known.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        self.made.is_none()
    }

    /// The type of a name: an enumeration, or the arrays of one behind `_`.
    #[must_use]
    pub fn named(&self, schema: Option<&str>, name: &str) -> Option<SqlType> {
        let own = |name: &str| self.find(schema, name).map(|ty| SqlType::Enum(ty.clone()));
        let array = || name.strip_prefix('_').and_then(own).map(SqlType::array);
        self.note(own(name).or_else(array))
    }

    fn find(&self, schema: Option<&str>, name: &str) -> Option<&EnumType> {
        let namesakes = self.made.as_ref()?.by_name.get(name)?;
        match schema {
            Some(OWN) => self.path.iter().filter(|schema| is_temporary(schema)).find_map(|own| namesakes.get(own)),
            Some(schema) => namesakes.get(schema),
            None => self.path.iter().find_map(|schema| namesakes.get(schema)),
        }
    }

    /// The type of a number.
    #[must_use]
    pub fn numbered(&self, number: u32) -> Option<SqlType> {
        let own = |number: u32| {
            let found = self.made.as_ref()?.numbered(number)?;
            Some(SqlType::Enum(found.clone()))
        };
        let array = || number.checked_sub(1).and_then(own).map(SqlType::array);
        self.note(own(number).or_else(array))
    }

    /// Whether a name without a schema means this type.
    #[must_use]
    pub fn is_visible(&self, ty: &EnumType) -> bool {
        ty.known().and_then(|known| self.find(None, &known.name)) == Some(ty)
    }

    fn note(&self, found: Option<SqlType>) -> Option<SqlType> {
        if let Some(ty) = found.as_ref().and_then(SqlType::enumeration) {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(ty.number());
        }
        found
    }

    /// The numbers of the types that were found since.
    #[must_use]
    pub fn used(&self) -> Vec<u32> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}
