//! Reads the same again and again, as somebody who keeps what was read: where it is said to stand as it did, it must.

use annulus_base::Key;
use annulus_base::rng::Rng;
use annulus_relation::transaction::{Grip, Mode, Span, Transaction};
use annulus_txn::interface::TxnError;
use annulus_txn::standing::Standing;
use bytes::Bytes;

use super::End;
use super::line::SimDatabase;
use super::steps::span;
use super::tables::Session;
use crate::workload::Layout;

/// Most times that it reads.
const MOST_ROUNDS: u64 = 8;

/// Whoever reads so.
#[derive(Clone, Debug)]
pub struct Watch {
    spans: Vec<Span>,
    rounds: u64,
}

/// What was found at one instant.
struct Found {
    standings: Vec<Standing>,
    contents: Vec<Vec<(Key, Bytes)>>,
}

impl Watch {
    pub(super) fn random(layout: &Layout, rng: &mut Rng) -> Self {
        let spans = layout.partitions.iter().map(|partition| span(*partition)).collect();
        Self { spans, rounds: rng.between(2, MOST_ROUNDS) }
    }

    pub(super) async fn run(self, session: &Session) -> Result<End, TxnError> {
        let mut earlier: Vec<Found> = Vec::new();
        for _ in 0..self.rounds {
            let now = self.look(session).await?;
            if let Some(wrong) = earlier.iter().find_map(|before| differs(before, &now)) {
                return Ok(End::Broken(wrong));
            }
            earlier.push(now);
        }
        Ok(End::Apart)
    }

    async fn look(&self, session: &Session) -> Result<Found, TxnError> {
        let mut txn = session.transaction(Mode::Statement);
        let partitions: Vec<_> = self.spans.iter().map(|span| span.partition).collect();
        txn.pin(&partitions, Grip::Light, session.patience).await?;
        let standing = txn.standing(&self.spans, session.patience).await?;
        let standings = standing.unwrap_or_default();
        let mut contents = Vec::with_capacity(self.spans.len());
        for span in &self.spans {
            contents.push(content(&mut txn, span.clone(), session).await?);
        }
        Ok(Found { standings, contents })
    }
}

async fn content(
    txn: &mut Transaction<SimDatabase>,
    mut span: Span,
    session: &Session,
) -> Result<Vec<(Key, Bytes)>, TxnError> {
    let mut all = Vec::new();
    loop {
        let stretch = txn.scan(&span, 3, session.patience).await?;
        all.extend(stretch.rows);
        let Some(next) = stretch.next else { return Ok(all) };
        span.range.start = next;
    }
}

fn differs(before: &Found, now: &Found) -> Option<String> {
    let still = now.standings.iter().zip(&before.standings).map(|(now, before)| now.is_still(before));
    let contents = now.contents.iter().zip(&before.contents);
    let changed = still.zip(contents).position(|(still, (now, before))| still && now != before)?;
    Some(format!(
        "range {changed} is said to stand as it did, but holds {:?} and not {:?}",
        now.contents[changed], before.contents[changed]
    ))
}
