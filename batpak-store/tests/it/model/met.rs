//! What the cases were, so that nothing that was never met is taken for shown.

use std::fmt;

use super::{list::Answer, shreds::ShredAnswer};

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Met {
    pub operations: u64,
    pub crashes: u64,
    pub events: u64,
    pub shredded: u64,
    pub planned: u64,
    shreds: u64,
    stale: u64,
    withheld: u64,
    recorded: u64,
    gated: u64,
    denied: u64,
    unexpected: u64,
    conditions: u64,
}

impl Met {
    pub fn answer(&mut self, answer: &Answer) {
        match answer {
            Answer::Fresh(_, Some(_)) => self.gated += 1,
            Answer::Denied { .. } => self.denied += 1,
            Answer::Unexpected { .. } => self.unexpected += 1,
            Answer::Condition(_) => self.conditions += 1,
            _ => {}
        }
    }

    pub fn shred_answer(&mut self, answer: &ShredAnswer) {
        match answer {
            ShredAnswer::Done { withheld, .. } => {
                self.shreds += 1;
                self.withheld += u64::from(!withheld.is_empty());
            }
            ShredAnswer::Withheld(_) => self.withheld += 1,
            ShredAnswer::Recorded(_) => self.recorded += 1,
            ShredAnswer::PlanChanged => self.stale += 1,
            _ => {}
        }
    }

    pub fn add(&mut self, other: &Self) {
        let mut other = *other;
        for ((_, all), (_, one)) in self.all().into_iter().zip(other.all()) {
            *all += *one;
        }
    }

    pub fn counts(mut self) -> Vec<(&'static str, u64)> {
        self.all().map(|(name, count)| (name, *count)).into()
    }

    fn all(&mut self) -> [(&'static str, &mut u64); 13] {
        [
            ("operations", &mut self.operations),
            ("crashes", &mut self.crashes),
            ("shreds", &mut self.shreds),
            ("shredded events", &mut self.shredded),
            ("events", &mut self.events),
            ("planned shreds", &mut self.planned),
            ("stale plans", &mut self.stale),
            ("shreds that met a hold", &mut self.withheld),
            ("holds, releases and readmissions", &mut self.recorded),
            ("appends that gates permitted", &mut self.gated),
            ("denied", &mut self.denied),
            ("of another revision than expected", &mut self.unexpected),
            ("refused by their condition", &mut self.conditions),
        ]
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.counts().iter().map(|(name, count)| format!("{count} {name}")).collect();
        f.write_str(&shown.join(", "))
    }
}
