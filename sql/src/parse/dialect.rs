//! sqlparser's dialect of PostgreSQL, with what it gets wrong put right.
//!
//! It reads all that follows `IS [NOT] DISTINCT FROM` as its right side, also `AND` and `OR`, and forgets the precision
//! of `INTERVAL(2) '...'`. It does not know `:=` before the values of named arguments, nor `VARIADIC`, which becomes
//! [`Expr::Prefixed`] here, nor `BETWEEN SYMMETRIC`, nor `OPERATOR(...)` before `ANY` and `ALL`, and wants to know what `TRIM`
//! takes away.

use std::any::TypeId;

use annulus_relation::SqlType;
use sqlparser::ast::{BinaryOperator, DataType, Expr, Ident, ObjectName, TrimWhereField, TypedString};
use sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Word};

use crate::bind::quote_name;

/// sqlparser's, which this one answers as except in what it does itself.
const BASE: PostgreSqlDialect = PostgreSqlDialect {};

/// The dialect that everything is parsed in.
#[derive(Debug)]
pub(crate) struct Postgres;

/// Answers that are the base's.
macro_rules! as_base {
    ($($method:ident($($name:ident: $ty:ty),*) -> $answer:ty;)*) => {
        $(fn $method(&self, $($name: $ty),*) -> $answer {
            BASE.$method($($name),*)
        })*
    };
}

impl Dialect for Postgres {
    fn dialect(&self) -> TypeId {
        BASE.dialect()
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }

    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        // It ends the name of an argument, and is no operator.
        let named = parser.peek_token_ref().token == Token::Assignment;
        if named { Some(Ok(BASE.prec_unknown())) } else { BASE.get_next_precedence(parser) }
    }

    /// `SELECT 1 FOR UPDATE` has no column of the name `for`.
    fn is_column_alias(&self, keyword: &Keyword, parser: &mut Parser<'_>) -> bool {
        *keyword != Keyword::FOR && BASE.is_column_alias(keyword, parser)
    }

    /// `INTERVAL(2) '...'`, `VARIADIC array` among arguments, `TRIM(BOTH FROM text)`, and literals of some types.
    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        if let Some(side) = trims_blanks(parser) {
            return Some(trimmed(parser, side));
        }
        if let Some(literal) = named_literal(parser) {
            return Some(literal);
        }
        let token = parser.peek_token();
        let Token::Word(Word { keyword, quote_style: None, .. }) = &token.token else { return None };
        match keyword {
            Keyword::INTERVAL => {
                let precise = parser.peek_nth_token_ref(1).token == Token::LParen
                    && matches!(parser.peek_nth_token_ref(2).token, Token::Number(..));
                precise.then(|| precise_interval(parser))
            }
            Keyword::VARIADIC => {
                parser.advance_token();
                let prefix = Ident::with_span(token.span, "VARIADIC");
                Some(parser.parse_expr().map(|value| Expr::Prefixed { prefix, value: Box::new(value) }))
            }
            _ => None,
        }
    }

    fn parse_infix(&self, parser: &mut Parser<'_>, left: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        use Keyword as K;
        if let Some(op) = named_comparison(parser) {
            return Some(quantified(parser, left, op, precedence));
        }
        if parser.parse_keywords(&[K::BETWEEN, K::SYMMETRIC]) {
            return Some(between_symmetric(parser, left, false));
        }
        if parser.parse_keywords(&[K::NOT, K::BETWEEN, K::SYMMETRIC]) {
            return Some(between_symmetric(parser, left, true));
        }
        let makes: fn(Box<Expr>, Box<Expr>) -> Expr = if parser.parse_keywords(&[K::IS, K::DISTINCT, K::FROM]) {
            Expr::IsDistinctFrom
        } else if parser.parse_keywords(&[K::IS, K::NOT, K::DISTINCT, K::FROM]) {
            Expr::IsNotDistinctFrom
        } else {
            return None;
        };
        let right = parser.parse_subexpr(self.prec_value(Precedence::Is));
        Some(right.map(|right| makes(Box::new(left.clone()), Box::new(right))))
    }

    as_base! {
        identifier_quote_style(identifier: &str) -> Option<char>;
        is_delimited_identifier_start(ch: char) -> bool;
        is_identifier_start(ch: char) -> bool;
        is_identifier_part(ch: char) -> bool;
        supports_unicode_string_literal() -> bool;
        is_reserved_for_identifier(keyword: Keyword) -> bool;
        is_custom_operator_part(ch: char) -> bool;
        supports_filter_during_aggregation() -> bool;
        supports_group_by_expr() -> bool;
        prec_value(precedence: Precedence) -> u8;
        allow_extract_custom() -> bool;
        allow_extract_single_quotes() -> bool;
        supports_create_index_with_clause() -> bool;
        supports_explain_with_utility_options() -> bool;
        supports_listen_notify() -> bool;
        supports_factorial_operator() -> bool;
        supports_bitwise_shift_operators() -> bool;
        supports_comment_on() -> bool;
        supports_load_extension() -> bool;
        supports_named_fn_args_with_colon_operator() -> bool;
        supports_named_fn_args_with_expr_name() -> bool;
        supports_empty_projections() -> bool;
        supports_nested_comments() -> bool;
        supports_string_escape_constant() -> bool;
        supports_numeric_literal_underscores() -> bool;
        supports_array_typedef_with_brackets() -> bool;
        supports_geometric_types() -> bool;
        supports_set_names() -> bool;
        supports_alter_column_type_using() -> bool;
        supports_notnull_operator() -> bool;
        supports_interval_options() -> bool;
        supports_insert_table_alias() -> bool;
        supports_create_table_like_parenthesized() -> bool;
        supports_select_wildcard_with_alias() -> bool;
        supports_comma_separated_trim() -> bool;
        supports_xml_expressions() -> bool;
        supports_comment_optimizer_hint() -> bool;
    }
}

/// `BETWEEN SYMMETRIC low AND high`, whose bounds come in any order: between them in the one or in the other.
fn between_symmetric(parser: &mut Parser<'_>, left: &Expr, negated: bool) -> Result<Expr, ParserError> {
    let between = |low: &Expr, high: &Expr| {
        let [expr, low, high] = [left, low, high].map(|part| Box::new(part.clone()));
        Box::new(Expr::Between { expr, negated, low, high })
    };
    let Expr::Between { low, high, .. } = parser.parse_between(left.clone(), negated)? else {
        return Err(ParserError::ParserError("BETWEEN is no BETWEEN".to_owned()));
    };
    let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
    let either = Expr::BinaryOp { left: between(&low, &high), op, right: between(&high, &low) };
    Ok(Expr::Nested(Box::new(either)))
}

/// The tokens of `OPERATOR(pg_catalog.=)`.
const NAMED: usize = 6;

/// What `OPERATOR(pg_catalog.=)` before `ANY` or `ALL` compares by, as `pg_dump` writes it.
fn named_comparison(parser: &Parser<'_>) -> Option<BinaryOperator> {
    let token = |at: usize| &parser.peek_nth_token_ref(at).token;
    let keyword = |at: usize| match token(at) {
        Token::Word(word) => Some(word.keyword),
        _ => None,
    };
    // Asked behind every operand: most are told apart by the first token.
    if keyword(0) != Some(Keyword::OPERATOR)
        || !matches!(token(2), Token::Word(word) if word.value == "pg_catalog")
        || !matches!(keyword(NAMED), Some(Keyword::ANY | Keyword::SOME | Keyword::ALL))
    {
        return None;
    }
    let signs = [(1, Token::LParen), (3, Token::Period), (5, Token::RParen), (NAMED + 1, Token::LParen)];
    if signs.iter().any(|(at, sign)| token(*at) != sign) {
        return None;
    }
    Some(match token(4) {
        Token::Eq => BinaryOperator::Eq,
        Token::Neq => BinaryOperator::NotEq,
        Token::Lt => BinaryOperator::Lt,
        Token::LtEq => BinaryOperator::LtEq,
        Token::Gt => BinaryOperator::Gt,
        Token::GtEq => BinaryOperator::GtEq,
        Token::Tilde => BinaryOperator::PGRegexMatch,
        Token::ExclamationMarkTilde => BinaryOperator::PGRegexNotMatch,
        _ => return None,
    })
}

/// `left OPERATOR(pg_catalog.=) ANY (right)`
fn quantified(
    parser: &mut Parser<'_>,
    left: &Expr,
    compare_op: BinaryOperator,
    precedence: u8,
) -> Result<Expr, ParserError> {
    (0..NAMED).for_each(|_| parser.advance_token());
    let all = parser.parse_keyword(Keyword::ALL);
    let is_some = !all && parser.parse_one_of_keywords(&[Keyword::ANY, Keyword::SOME]) == Some(Keyword::SOME);
    // What stands in parentheses, or a subquery with its own.
    let right = match parser.parse_subexpr(precedence)? {
        Expr::Nested(inner) => inner,
        other => Box::new(other),
    };
    let left = Box::new(left.clone());
    Ok(if all { Expr::AllOp { left, compare_op, right } } else { Expr::AnyOp { left, compare_op, right, is_some } })
}

/// `INTERVAL(2) '1.25'`
fn precise_interval(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let data_type = parser.parse_data_type()?;
    let value = parser.parse_value()?;
    Ok(Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false }))
}

/// Types of PostgreSQL's own that sqlparser does not know before a literal.
const TYPES: [&str; 10] =
    ["bpchar", "cidr", "inet", "name", "oid", "regclass", "regnamespace", "regproc", "regtype", "int2vector"];

/// `name 'literal'`, `schema.name 'literal'`
fn named_literal(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    // Behind a schema's name no word means anything else.
    let parts = match parser.peek_nth_token_ref(1).token {
        Token::Period => vec![word(parser, 0)?.0, word(parser, 2)?.0],
        _ => vec![word(parser, 0).filter(|(_, is_keyword)| !is_keyword)?.0],
    };
    let tokens = 2 * parts.len() - 1;
    if !matches!(parser.peek_nth_token_ref(tokens).token, Token::SingleQuotedString(_)) {
        return None;
    }
    (0..tokens).for_each(|_| parser.advance_token());
    let data_type = DataType::Custom(ObjectName::from(parts), Vec::new());
    let typed = |value| Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false });
    Some(parser.parse_value().map(typed))
}

/// The word so many tokens ahead, and whether it is a keyword that may mean something before a literal.
fn word(parser: &Parser<'_>, ahead: usize) -> Option<(Ident, bool)> {
    let token = parser.peek_nth_token_ref(ahead);
    let Token::Word(Word { value, quote_style, keyword }) = &token.token else { return None };
    let is_plain = quote_style.is_some() || *keyword == Keyword::NoKeyword || TYPES.contains(&value.as_str());
    // What PostgreSQL does not reserve may be a type's name; the names of its own types sqlparser knows.
    let is_keyword = !is_plain && (quote_name(value) != *value || SqlType::parse_name(value).is_ok());
    Some((Ident { value: value.clone(), quote_style: *quote_style, span: token.span }, is_keyword))
}

/// Whether `TRIM([BOTH | LEADING | TRAILING] FROM` comes next, and which side it says.
fn trims_blanks(parser: &Parser<'_>) -> Option<Option<TrimWhereField>> {
    let keyword = |ahead: usize| match parser.peek_nth_token_ref(ahead).token {
        Token::Word(Word { keyword, quote_style: None, .. }) => keyword,
        _ => Keyword::NoKeyword,
    };
    if keyword(0) != Keyword::TRIM || parser.peek_nth_token_ref(1).token != Token::LParen {
        return None;
    }
    let side = match keyword(2) {
        Keyword::FROM => return Some(None),
        Keyword::BOTH => TrimWhereField::Both,
        Keyword::LEADING => TrimWhereField::Leading,
        Keyword::TRAILING => TrimWhereField::Trailing,
        _ => return None,
    };
    (keyword(3) == Keyword::FROM).then_some(Some(side))
}

/// What [`trims_blanks`] has seen.
fn trimmed(parser: &mut Parser<'_>, side: Option<TrimWhereField>) -> Result<Expr, ParserError> {
    for _ in 0..3 + usize::from(side.is_some()) {
        parser.advance_token();
    }
    let expr = Box::new(parser.parse_expr()?);
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Trim { expr, trim_where: side, trim_what: None, trim_characters: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn and_and_or_are_not_part_of_what_something_is_distinct_from() {
        for (text, whole) in [
            ("a is distinct from b or c", "OR"),
            ("x = 1 and a is not distinct from b + 1 or c", "OR"),
            ("a is distinct from b and c is distinct from d", "AND"),
        ] {
            let parsed = Parser::new(&Postgres).try_with_sql(text).unwrap().parse_expr().unwrap();
            assert!(matches!(&parsed, Expr::BinaryOp { op, .. } if op.to_string() == whole), "{text}: {parsed:?}");
        }
        let parsed = Parser::new(&Postgres).try_with_sql("a is distinct from b = c").unwrap().parse_expr().unwrap();
        assert!(matches!(&parsed, Expr::IsDistinctFrom(_, right) if right.to_string() == "b = c"), "{parsed:?}");
    }
}
