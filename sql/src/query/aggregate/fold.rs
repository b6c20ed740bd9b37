//! Aggregates as folds over values: one state for each group, into which rows go one by one, or where a fold knows better,
//! many at a time.

use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use annulus_relation::{SqlError, SqlResult, SqlState, SqlType, Value};
use datafusion::arrow::array::{Array, ArrayRef, BinaryViewArray, BooleanArray, builder::BinaryViewBuilder};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use crate::query::arrow::{Builder, Reader, data_type, payload, scalar_of};
use crate::query::error::to_datafusion;
use crate::query::guard::{Guard, Made};

/// How an aggregate is computed. States travel between threads as values.
pub(super) trait Fold: Clone + Debug + PartialEq + Eq + Hash + Send + Sync + 'static {
    /// What is kept of the rows.
    type State: Default + Send + Sync + Debug + 'static;

    /// A row's arguments go in.
    fn add(&self, state: &mut Self::State, args: &Args<'_>, row: usize) -> SqlResult<()>;

    /// Rows' arguments go in, each into the state of its group.
    fn add_all(&self, states: &mut [Self::State], args: &Args<'_>, rows: &Rows<'_>) -> SqlResult<()> {
        rows.each(|row, group| self.add(&mut states[group], args, row))
    }

    /// The row that went in first goes out again; `None` if the fold cannot do that.
    fn remove(&self, state: &mut Self::State, args: &Args<'_>, row: usize) -> Option<SqlResult<()>>;

    /// What was kept of other rows goes in.
    fn merge(&self, state: &mut Self::State, other: Self::State) -> SqlResult<()>;

    /// The state as values.
    fn save(state: &Self::State) -> Vec<Value>;

    /// The state again; `None` if it is damaged.
    fn load(values: Vec<Value>) -> Option<Self::State>;

    /// The result.
    fn finish(&self, state: &Self::State) -> SqlResult<Value>;

    /// How many bytes the state has elsewhere.
    fn size(_: &Self::State) -> usize {
        0
    }

    /// What is heeded where a result takes long, and is large.
    fn guard(&self) -> Option<&Guard> {
        None
    }
}

/// Which rows go in, and into which groups.
pub(super) struct Rows<'a> {
    count: usize,
    /// The group of each row; all are of the first one if it is not said.
    groups: Option<&'a [usize]>,
    /// The rows that go in, if not all.
    filter: Option<&'a BooleanArray>,
}

impl Rows<'_> {
    /// Calls for each row, with its group, until one fails.
    #[inline]
    pub fn each(&self, mut add: impl FnMut(usize, usize) -> SqlResult<()>) -> SqlResult<()> {
        for row in 0..self.count {
            if self.filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                add(row, self.groups.map_or(0, |groups| groups[row]))?;
            }
        }
        Ok(())
    }
}

/// An aggregate's arguments for several rows.
pub(super) struct Args<'a> {
    readers: Vec<Reader<'a>>,
    arrays: &'a [ArrayRef],
}

impl<'a> Args<'a> {
    fn new(types: &'a [SqlType], arrays: &'a [ArrayRef]) -> Result<Self> {
        let readers = types.iter().zip(arrays).map(|(ty, array)| Reader::new(ty, array));
        let readers = readers.collect::<SqlResult<_>>().map_err(to_datafusion)?;
        Ok(Self { readers, arrays })
    }

    /// An argument's value in a row.
    pub fn get(&self, arg: usize, row: usize) -> SqlResult<Value> {
        self.readers[arg].get(row)
    }

    /// All arguments' values in a row.
    pub fn all(&self, row: usize) -> SqlResult<Vec<Value>> {
        self.readers.iter().map(|reader| reader.get(row)).collect()
    }

    /// An argument's values as they are kept.
    pub fn array(&self, arg: usize) -> &dyn Array {
        &self.arrays[arg]
    }

    /// Whether an argument is NULL in a row.
    pub fn is_null(&self, arg: usize, row: usize) -> bool {
        self.arrays[arg].is_null(row)
    }
}

/// A fold as an aggregate function of DataFusion's.
#[derive(Clone)]
pub(super) struct Folding<F> {
    name: String,
    types: Arc<[SqlType]>,
    ty: SqlType,
    fold: F,
    signature: Signature,
}

impl<F: Fold> Folding<F> {
    /// The function for arguments of these types, with a result of that type.
    #[expect(clippy::new_ret_no_self, reason = "it is always used as a function of DataFusion's")]
    pub fn new(name: &str, types: Vec<SqlType>, ty: SqlType, fold: F) -> Arc<AggregateUDF> {
        let signature = Signature::exact(types.iter().map(data_type).collect(), Volatility::Immutable);
        let folding = Self { name: name.to_owned(), types: types.into(), ty, fold, signature };
        Arc::new(AggregateUDF::new_from_impl(folding))
    }
}

impl<F: PartialEq> PartialEq for Folding<F> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.types == other.types && self.ty == other.ty && self.fold == other.fold
    }
}

impl<F: Eq> Eq for Folding<F> {}

impl<F: Hash> Hash for Folding<F> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.types.hash(state);
        self.fold.hash(state);
    }
}

impl<F> Debug for Folding<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl<F: Fold> AggregateUDFImpl for Folding<F> {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(data_type(&self.ty))
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Groups { folding: self.clone(), states: vec![F::State::default()], made: Made::default() }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "state"), DataType::BinaryView, true))])
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { folding: self.clone(), states: Vec::new(), made: Made::default() }))
    }
}

/// The states of some groups.
struct Groups<F: Fold> {
    folding: Folding<F>,
    states: Vec<F::State>,
    /// The results of the only group: in a window there is one for each row of a partition, all of a batch at once.
    made: Made,
}

impl<F: Fold> Debug for Groups<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} groups", self.folding.name, self.states.len())
    }
}

impl<F: Fold> Groups<F> {
    fn save(state: &F::State) -> Vec<u8> {
        let mut bytes = Vec::new();
        payload::write_all(&F::save(state), &mut bytes);
        bytes
    }

    fn load(array: &ArrayRef, row: usize) -> Result<F::State> {
        let damaged = || SqlError::new(SqlState::INTERNAL_ERROR, "the state of an aggregate is damaged");
        let array = array.as_any().downcast_ref::<BinaryViewArray>();
        let values = array.and_then(|array| payload::read_all(array.value(row)));
        values.and_then(F::load).ok_or_else(|| to_datafusion(damaged()))
    }

    fn result(&self, state: &F::State) -> SqlResult<Value> {
        self.folding.fold.guard().map_or(Ok(()), Guard::check)?;
        self.folding.fold.finish(state)
    }

    /// The result of the only group, which may be asked for again and again.
    fn one_of_many(&mut self) -> SqlResult<Value> {
        let value = self.result(&self.states[0])?;
        if let Some(guard) = self.folding.fold.guard() {
            self.made.add(&value, &self.folding.name, guard)?;
        }
        Ok(value)
    }

    fn take(&mut self, emit: EmitTo) -> Vec<F::State> {
        emit.take_needed(&mut self.states)
    }

    fn bytes(&self) -> usize {
        let states = self.states.capacity() * size_of::<F::State>();
        states + self.states.iter().map(F::size).sum::<usize>()
    }
}

fn saved<F: Fold>(states: &[F::State]) -> ArrayRef {
    let mut builder = BinaryViewBuilder::with_capacity(states.len());
    states.iter().for_each(|state| builder.append_value(Groups::<F>::save(state)));
    Arc::new(builder.finish())
}

impl<F: Fold> GroupsAccumulator for Groups<F> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.states.resize_with(total, F::State::default);
        let args = Args::new(&self.folding.types, values)?;
        let rows = Rows { count: groups.len(), groups: Some(groups), filter };
        self.folding.fold.add_all(&mut self.states, &args, &rows).map_err(to_datafusion)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let states = self.take(emit);
        let mut builder = Builder::new(&self.folding.ty, states.len());
        for state in &states {
            builder.push(&self.result(state).map_err(to_datafusion)?);
        }
        Ok(builder.finish())
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![saved::<F>(&self.take(emit))])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.states.resize_with(total, F::State::default);
        for (row, group) in groups.iter().enumerate() {
            let state = Self::load(&values[0], row)?;
            self.folding.fold.merge(&mut self.states[*group], state).map_err(to_datafusion)?;
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let count = values.first().map_or(0, |array| array.len());
        let args = Args::new(&self.folding.types, values)?;
        let mut states = Vec::with_capacity(count);
        for row in 0..count {
            let mut state = F::State::default();
            if filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row)) {
                self.folding.fold.add(&mut state, &args, row).map_err(to_datafusion)?;
            }
            states.push(state);
        }
        Ok(vec![saved::<F>(&states)])
    }

    fn size(&self) -> usize {
        self.bytes()
    }
}

impl<F: Fold> Accumulator for Groups<F> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let count = values.first().map_or(0, |array| array.len());
        let args = Args::new(&self.folding.types, values)?;
        let rows = Rows { count, groups: None, filter: None };
        self.folding.fold.add_all(&mut self.states, &args, &rows).map_err(to_datafusion)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.one_of_many().map_err(to_datafusion)?;
        Ok(scalar_of(&self.folding.ty, &value))
    }

    fn size(&self) -> usize {
        self.bytes()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::BinaryView(Some(Self::save(&self.states[0])))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for row in 0..states.first().map_or(0, |array| array.len()) {
            let state = Self::load(&states[0], row)?;
            self.folding.fold.merge(&mut self.states[0], state).map_err(to_datafusion)?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let count = values.first().map_or(0, |array| array.len());
        let args = Args::new(&self.folding.types, values)?;
        for row in 0..count {
            match self.folding.fold.remove(&mut self.states[0], &args, row) {
                Some(result) => result.map_err(to_datafusion)?,
                None => {
                    let what = format!("{} over a window whose beginning moves", self.folding.name);
                    return Err(to_datafusion(SqlError::unsupported(what)));
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}
