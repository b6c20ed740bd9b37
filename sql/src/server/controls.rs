//! The statements that begin and end transactions, parsed once: every transaction of an application sends the same few.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::parse::{Parsed, Statement};

/// How many texts are kept; when there are more, all are forgotten.
const MOST: usize = 64;
/// Longest text that is kept, in bytes.
const LONGEST: usize = 128;

/// Texts that are one such statement.
#[derive(Default)]
pub(crate) struct Controls(RefCell<HashMap<Box<str>, Rc<Parsed>>>);

impl Controls {
    /// What a text was parsed as before.
    pub fn find(&self, text: &str) -> Option<Rc<Parsed>> {
        // Long texts, which are no such statements, are not even hashed.
        if text.len() <= LONGEST { self.0.borrow().get(text).cloned() } else { None }
    }

    /// Keeps the only statement of a text, if it begins or ends a transaction.
    pub fn keep(&self, text: &str, parsed: &Rc<Parsed>) {
        let controls = matches!(parsed.statement, Statement::Begin(..) | Statement::Commit(_) | Statement::Rollback(_));
        if !controls || text.len() > LONGEST {
            return;
        }
        let mut all = self.0.borrow_mut();
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(text.into(), Rc::clone(parsed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    fn kept(controls: &Controls, text: &str) -> bool {
        let mut parsed = parse(text).expect("a statement");
        controls.keep(text, &Rc::new(parsed.pop().expect("a statement")));
        controls.find(text).is_some()
    }

    #[test]
    fn only_few_and_short_texts_of_controls_are_kept() {
        let controls = Controls::default();
        assert!(kept(&controls, "BEGIN ISOLATION LEVEL SERIALIZABLE"));
        assert!(kept(&controls, "commit and chain;"));
        assert!(!kept(&controls, "SET application_name = 'x'"));
        assert!(!kept(&controls, &format!("ROLLBACK{}", " ".repeat(LONGEST))));
        assert!(controls.find("BEGIN").is_none());
        for spaces in 1..MOST {
            assert!(kept(&controls, &format!("ROLLBACK{}", " ".repeat(spaces))));
        }
        assert!(controls.0.borrow().len() <= MOST && controls.find("commit and chain;").is_none());
    }
}
