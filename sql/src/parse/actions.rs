//! Actions of `ALTER TABLE` that sqlparser does not know: what is said of identities, generated columns, constraints and
//! storage. They are taken out, and something that it knows stands in the place of each.

use annulus_relation::SqlResult;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::clauses::end_of;
use super::cursor::Cursor;
use super::object::{altered_table, sequence_option};
use super::source::Source;
use super::storage;
use super::{AlterIdentity, IdentityChange, TableAction};

/// The constraint that is validated in the place of an action that was taken out. No client writes such a name.
pub(crate) const TAKEN_ACTION: &str = "taken action";

/// Takes the actions out of an `ALTER TABLE`, in their order.
pub(super) fn take_actions(
    source: &Source<'_>,
    tokens: Vec<TokenWithSpan>,
) -> SqlResult<(Vec<TokenWithSpan>, Vec<TableAction>)> {
    let mut cursor = Cursor::new(source, &tokens);
    let mut found = Vec::new();
    if altered_table(&mut cursor).is_none() {
        return Ok((tokens, found));
    }
    let mut kept = tokens[..tokens.len() - cursor.rest().len()].to_vec();
    loop {
        let begin = tokens.len() - cursor.rest().len();
        match action(&mut cursor)? {
            Some(action) => {
                found.push(action);
                let span = tokens[begin].span;
                kept.extend(placeholder().map(|token| TokenWithSpan { token, span }));
            }
            None => {
                let end = end_of(&tokens, begin, |at| tokens[at].token == Token::Comma);
                kept.extend_from_slice(&tokens[begin..end]);
                cursor.skip_to(end);
            }
        }
        match cursor.rest().first() {
            Some(comma) if comma.token == Token::Comma => kept.push(comma.clone()),
            Some(_) => return Err(cursor.error()),
            None => return Ok((kept, found)),
        }
        cursor.skip();
    }
}

fn placeholder() -> [Token; 3] {
    let name = Word { value: TAKEN_ACTION.to_owned(), quote_style: Some('"'), keyword: Keyword::NoKeyword };
    [Token::make_keyword("validate"), Token::make_keyword("constraint"), Token::Word(name)]
}

/// The next action, if it is one of those that are read here.
fn action(cursor: &mut Cursor<'_>) -> SqlResult<Option<TableAction>> {
    let mut ahead = Cursor::new(cursor.source, cursor.rest());
    let action = if ahead.take_all(&["alter", "constraint"]) {
        Some(alter_constraint(&mut ahead)?)
    } else if ahead.take("alter") {
        ahead.take("column");
        let Ok(column) = ahead.identifier() else { return Ok(None) };
        match alter_identity(&mut ahead)? {
            Some(alter) => Some(TableAction::Identity { column, alter }),
            None => storage::of_column(&mut ahead)?.then_some(TableAction::Storage { column: Some(column) }),
        }
    } else {
        storage::of_table(&mut ahead)?.then_some(TableAction::Storage { column: None })
    };
    if action.is_some() {
        let taken = cursor.rest().len() - ahead.rest().len();
        (0..taken).for_each(|_| cursor.skip());
    }
    Ok(action)
}

fn alter_constraint(cursor: &mut Cursor<'_>) -> SqlResult<TableAction> {
    let name = cursor.identifier()?;
    let (mut deferrable, mut deferred) = (None, None);
    while !cursor.at_end() && cursor.peek() != Some(&Token::Comma) {
        if cursor.take("deferrable") {
            deferrable = Some(true);
        } else if cursor.take_all(&["not", "deferrable"]) {
            deferrable = Some(false);
        } else {
            cursor.expect("initially")?;
            deferred = Some(cursor.take("deferred"));
            if deferred == Some(false) {
                cursor.expect("immediate")?;
            }
        }
    }
    Ok(TableAction::Constraint { name, deferrable, deferred })
}

/// What is said of a column's identity or expression.
fn alter_identity(cursor: &mut Cursor<'_>) -> SqlResult<Option<AlterIdentity>> {
    if cursor.take_all(&["drop", "identity"]) {
        return Ok(Some(AlterIdentity::Drop { if_exists: cursor.if_exists() }));
    }
    if cursor.take_all(&["drop", "expression"]) {
        return Ok(Some(AlterIdentity::DropExpression { if_exists: cursor.if_exists() }));
    }
    let options = ["increment", "minvalue", "maxvalue", "start", "cache", "cycle", "no"];
    let sets = |cursor: &Cursor<'_>| {
        cursor.looks(&["set", "generated"]) || options.iter().any(|option| cursor.looks(&["set", option]))
    };
    let mut changes = Vec::new();
    loop {
        if sets(cursor) {
            cursor.take("set");
            changes.push(match cursor.take("generated") {
                true => IdentityChange::Always(always(cursor)?),
                false => IdentityChange::Option(sequence_option(cursor)?),
            });
        } else if cursor.looks(&["restart"]) {
            changes.push(IdentityChange::Option(sequence_option(cursor)?));
        } else {
            break;
        }
    }
    Ok((!changes.is_empty()).then_some(AlterIdentity::Set(changes)))
}

/// `ALWAYS`, or `BY DEFAULT`.
fn always(cursor: &mut Cursor<'_>) -> SqlResult<bool> {
    if cursor.take("always") {
        return Ok(true);
    }
    cursor.expect("by")?;
    cursor.expect("default")?;
    Ok(false)
}
