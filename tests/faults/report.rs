//! What is printed: the table of the cells, and the one line that says it all.

use std::fmt::Write as _;

use crate::{
    cell::{Cell, Outcome, Wrong},
    kills::Kill,
};

/// The table: a heading for each invocation and each of its calls, and a line for each thing that went wrong.
pub fn table(outcomes: &[(Cell, Outcome)]) -> String {
    let mut table = String::new();
    let mut heading = String::new();
    for (cell, outcome) in outcomes {
        let this = format!("{}: {}", cell.scenario, cell.call);
        if this != heading {
            let _ = writeln!(table, "\n{this}");
            heading = this;
        }
        let _ = writeln!(table, "  {:24} {}", cell.trouble.name, line(outcome));
    }
    table
}

/// The same for random kills: only those after which something was wrong.
pub fn kills(outcomes: &[(Kill, Outcome)]) -> String {
    let wrong = outcomes.iter().filter(|(_, outcome)| !outcome.wrongs.is_empty());
    wrong.fold(String::new(), |mut lines, (kill, outcome)| {
        let _ = writeln!(lines, "  killed after {:?}: {}", kill.after, line(outcome));
        lines
    })
}

fn line(outcome: &Outcome) -> String {
    let answer = outcome.answer.as_ref().map_or_else(|| String::from("-"), ToString::to_string);
    let result = if !outcome.wrongs.is_empty() {
        outcome.wrongs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    } else if outcome.left {
        String::from("ok, by the sweep")
    } else {
        String::from("ok")
    };
    format!("{answer:26} {result}")
}

/// How many cells there were, and in how many something was wrong.
#[derive(Default)]
pub struct Sum {
    cells: usize,
    leaked: usize,
    stuck: usize,
    mischarged: usize,
    misanswered: usize,
}

impl Sum {
    /// Counts one more cell.
    pub fn add(&mut self, outcome: &Outcome) {
        let has = |is: fn(&Wrong) -> bool| usize::from(outcome.wrongs.iter().any(is));
        self.cells += 1;
        self.leaked += has(|wrong| matches!(wrong, Wrong::Leaked(_)));
        self.stuck += has(|wrong| matches!(wrong, Wrong::Stuck(_)));
        self.mischarged += has(|wrong| matches!(wrong, Wrong::Mischarged(_)));
        self.misanswered += has(|wrong| matches!(wrong, Wrong::Misanswered(_)));
    }

    /// Whether nothing was wrong anywhere.
    pub fn is_clean(&self) -> bool {
        self.leaked + self.stuck + self.mischarged + self.misanswered == 0
    }

    /// The last line, after one about the answers if any was wrong.
    pub fn print(&self) {
        if self.misanswered > 0 {
            println!("{} cells gave an answer that is not in the contract", self.misanswered);
        }
        println!(
            "{} cells, {} leaked, {} stuck, {} mischarged",
            self.cells, self.leaked, self.stuck, self.mischarged
        );
    }
}
