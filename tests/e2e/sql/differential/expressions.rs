//! Random expressions of a given type over the columns in sight.

use annulus_base::rng::Rng;

use super::schema::{Table, Type};

/// Columns in sight, with the name by which they are called.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    pub columns: Vec<(String, Type)>,
}

impl Sight {
    /// The columns of a table under an alias.
    pub fn of(table: &Table, alias: &str) -> Self {
        Self { columns: table.columns.iter().map(|column| (format!("{alias}.{}", column.name), column.ty)).collect() }
    }

    pub fn and(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self
    }

    fn column(&self, ty: Type, rng: &mut Rng) -> Option<String> {
        let fitting: Vec<&String> = self.columns.iter().filter(|(_, of)| *of == ty).map(|(name, _)| name).collect();
        rng.pick(&fitting).map(|name| (*name).clone())
    }

    /// An expression of a type; `depth` bounds how far it nests.
    pub fn expression(&self, ty: Type, depth: u32, rng: &mut Rng) -> String {
        if depth == 0 || rng.one_in(4) {
            let column = if rng.one_in(4) { None } else { self.column(ty, rng) };
            return column
                .unwrap_or_else(|| if rng.one_in(12) { format!("NULL::{}", ty.name()) } else { ty.constant(rng) });
        }
        let any = depth - 1;
        match rng.below(8) {
            0 => {
                let (when, then, otherwise) =
                    (self.condition(any, rng), self.part(ty, any, rng), self.part(ty, any, rng));
                format!("CASE WHEN {when} THEN {then} ELSE {otherwise} END")
            }
            1 => format!("coalesce({}, {})", self.part(ty, any, rng), self.part(ty, any, rng)),
            2 => format!("nullif({}, {})", self.part(ty, any, rng), self.part(ty, any, rng)),
            3 if ty != Type::Bool => format!(
                "{}({}, {})",
                rng.pick(&["greatest", "least"]).expect("there are some"),
                self.part(ty, any, rng),
                self.part(ty, any, rng)
            ),
            _ => self.operation(ty, any, rng),
        }
    }

    fn part(&self, ty: Type, depth: u32, rng: &mut Rng) -> String {
        self.expression(ty, depth, rng)
    }

    fn operation(&self, ty: Type, depth: u32, rng: &mut Rng) -> String {
        let of = |ty: Type, rng: &mut Rng| self.expression(ty, depth, rng);
        match ty {
            Type::Bool => self.condition(depth, rng),
            Type::Int => {
                let (a, b) = (of(Type::Int, rng), of(Type::Int, rng));
                match rng.below(9) {
                    0 => format!("({a} + {b})"),
                    1 => format!("({a} - {b})"),
                    2 => format!("({a} * {b})"),
                    3 => format!("({a} / nullif({b}, 0))"),
                    4 => format!("({a} % nullif({b}, 0))"),
                    5 => format!("abs({a})"),
                    6 => format!("length({})", self.expression(Type::Text, depth, rng)),
                    7 => format!(
                        "({} - {})",
                        self.expression(Type::Date, depth, rng),
                        self.expression(Type::Date, depth, rng)
                    ),
                    _ => format!("extract(day FROM {})::integer", self.expression(Type::Date, depth, rng)),
                }
            }
            Type::Big => {
                let (a, b) = (of(Type::Big, rng), of(Type::Int, rng));
                match rng.below(5) {
                    0 => format!("({a} + {b})"),
                    1 => format!("({a} - {b})"),
                    2 => format!("({a} / nullif({b}, 0))"),
                    3 => format!("({a} & {b})"),
                    _ => format!("{b}::bigint"),
                }
            }
            Type::Numeric => {
                let (a, b) = (of(Type::Numeric, rng), of(Type::Numeric, rng));
                match rng.below(7) {
                    0 => format!("({a} + {b})"),
                    1 => format!("({a} - {b})"),
                    2 => format!("({a} * {b})"),
                    3 => format!("({a} / nullif({b}, 0))"),
                    4 => format!("round({a}, {})", rng.below(4)),
                    5 => format!("trunc({a}, {})", rng.below(3)),
                    _ => format!("({} * 1.5)", self.expression(Type::Int, depth, rng)),
                }
            }
            Type::Text => {
                let (a, b) = (of(Type::Text, rng), of(Type::Text, rng));
                let number = rng.below(5);
                match rng.below(11) {
                    0 => format!("({a} || {b})"),
                    1 => format!("upper({a})"),
                    2 => format!("lower({a})"),
                    3 => format!("substr({a}, {number})"),
                    4 => format!("replace({a}, {b}, 'q')"),
                    5 => format!("left({a}, {})", number as i64 - 2),
                    6 => format!("lpad({a}, {number}, '*')"),
                    7 => format!("concat({a}, {}, {b})", self.expression(Type::Int, depth, rng)),
                    8 => format!("({})::text", self.expression(Type::Numeric, depth, rng)),
                    9 => format!("({})::text", self.expression(Type::Timestamp, depth, rng)),
                    _ => format!("reverse({a})"),
                }
            }
            Type::Date => match rng.below(3) {
                0 => format!("({} + {})", of(Type::Date, rng), rng.below(40)),
                1 => format!("({} - {})", of(Type::Date, rng), rng.below(40)),
                _ => format!("({})::date", of(Type::Timestamp, rng)),
            },
            Type::Timestamp => match rng.below(3) {
                0 => format!("({} + interval '{} hours')", of(Type::Timestamp, rng), rng.below(100)),
                1 => {
                    let unit = *rng.pick(&["hour", "day", "month"]).expect("there are some");
                    format!("date_trunc('{unit}', {})", self.expression(Type::Timestamp, depth, rng))
                }
                _ => format!("({} - interval '1 month 2 days')", of(Type::Timestamp, rng)),
            },
        }
    }

    /// Something that is true or not, or null.
    pub fn condition(&self, depth: u32, rng: &mut Rng) -> String {
        let ty = *rng.pick(&Type::ALL).expect("there are types");
        let deeper = depth.saturating_sub(1);
        let side = |rng: &mut Rng| match (ty, self.expression(ty, deeper, rng)) {
            // PostgreSQL wants parentheses where comparisons are compared.
            (Type::Bool, side) => format!("({side})"),
            (_, side) => side,
        };
        let (a, b) = (side(rng), side(rng));
        match rng.below(if depth == 0 { 5 } else { 12 }) {
            0..=2 => format!("{a} {} {b}", rng.pick(&["=", "<>", "<", "<=", ">", ">="]).expect("there are some")),
            3 => format!("{a} IS {}NULL", if rng.one_in(2) { "NOT " } else { "" }),
            4 => format!("{a} IS {}DISTINCT FROM {b}", if rng.one_in(2) { "NOT " } else { "" }),
            5 => format!("({} AND {})", self.condition(deeper, rng), self.condition(deeper, rng)),
            6 => format!("({} OR {})", self.condition(deeper, rng), self.condition(deeper, rng)),
            7 => format!("NOT ({})", self.condition(deeper, rng)),
            8 => format!("{a} BETWEEN {b} AND {}", side(rng)),
            9 => {
                let list: Vec<String> = (0..rng.between(1, 4)).map(|_| ty.constant(rng)).collect();
                format!("{a} {}IN ({})", if rng.one_in(3) { "NOT " } else { "" }, list.join(", "))
            }
            10 => {
                let pattern = rng.pick(&["a%", "%b", "_", "%", "A_%", "%\\%%"]).expect("there are some");
                format!("{} LIKE '{pattern}'", self.expression(Type::Text, deeper, rng))
            }
            _ => format!(
                "({}) IS {}",
                self.condition(deeper, rng),
                rng.pick(&["TRUE", "NOT TRUE", "FALSE", "UNKNOWN"]).expect("there are some")
            ),
        }
    }
}
