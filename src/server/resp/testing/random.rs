//! Conflicts, missing majorities, unknown outcomes.
