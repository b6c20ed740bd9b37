//! The tables of TPC-H and their rows.

use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};

/// A table: its definition, and its rows as text with `|` behind each value.
pub struct Table {
    pub name: &'static str,
    pub columns: &'static str,
    pub rows: fn(f64) -> Box<dyn Iterator<Item = String> + Send>,
}

/// The rows of a generator.
macro_rules! rows {
    ($generator:ident) => {
        |scale| Box::new($generator::new(scale, 1, 1).into_iter().map(|row| row.to_string()))
    };
}

/// All tables.
pub const TABLES: [Table; 8] = [
    Table {
        name: "region",
        columns: "r_regionkey integer PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152)",
        rows: rows!(RegionGenerator),
    },
    Table {
        name: "nation",
        columns: "n_nationkey integer PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey integer NOT NULL, \
                  n_comment varchar(152)",
        rows: rows!(NationGenerator),
    },
    Table {
        name: "part",
        columns: "p_partkey integer PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, \
                  p_brand char(10) NOT NULL, p_type varchar(25) NOT NULL, p_size integer NOT NULL, \
                  p_container char(10) NOT NULL, p_retailprice decimal(15,2) NOT NULL, p_comment varchar(23) NOT NULL",
        rows: rows!(PartGenerator),
    },
    Table {
        name: "supplier",
        columns: "s_suppkey integer PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL, \
                  s_nationkey integer NOT NULL, s_phone char(15) NOT NULL, s_acctbal decimal(15,2) NOT NULL, \
                  s_comment varchar(101) NOT NULL",
        rows: rows!(SupplierGenerator),
    },
    Table {
        name: "partsupp",
        columns: "ps_partkey integer NOT NULL, ps_suppkey integer NOT NULL, ps_availqty integer NOT NULL, \
                  ps_supplycost decimal(15,2) NOT NULL, ps_comment varchar(199) NOT NULL, \
                  PRIMARY KEY (ps_partkey, ps_suppkey)",
        rows: rows!(PartSuppGenerator),
    },
    Table {
        name: "customer",
        columns: "c_custkey integer PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL, \
                  c_nationkey integer NOT NULL, c_phone char(15) NOT NULL, c_acctbal decimal(15,2) NOT NULL, \
                  c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL",
        rows: rows!(CustomerGenerator),
    },
    Table {
        name: "orders",
        columns: "o_orderkey integer PRIMARY KEY, o_custkey integer NOT NULL, o_orderstatus char(1) NOT NULL, \
                  o_totalprice decimal(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, \
                  o_clerk char(15) NOT NULL, o_shippriority integer NOT NULL, o_comment varchar(79) NOT NULL",
        rows: rows!(OrderGenerator),
    },
    Table {
        name: "lineitem",
        columns: "l_orderkey integer NOT NULL, l_partkey integer NOT NULL, l_suppkey integer NOT NULL, \
                  l_linenumber integer NOT NULL, l_quantity decimal(15,2) NOT NULL, \
                  l_extendedprice decimal(15,2) NOT NULL, l_discount decimal(15,2) NOT NULL, \
                  l_tax decimal(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, \
                  l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL, \
                  l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL, \
                  PRIMARY KEY (l_orderkey, l_linenumber)",
        rows: rows!(LineItemGenerator),
    },
];

/// The queries with the parameters that the specification validates with, in order.
pub fn queries(scale: f64) -> Vec<String> {
    include_str!("queries.sql").lines().map(|query| query.replace(":scale", &scale.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_as_many_values_as_tables_have_columns() {
        for table in TABLES {
            let columns = table.columns.split(", PRIMARY KEY").next().unwrap().matches(", ").count() + 1;
            let row = (table.rows)(0.001).next().unwrap();
            assert_eq!(row.matches('|').count(), columns, "{}: {row}", table.name);
        }
        assert_eq!(queries(0.1).len(), 22);
    }
}
