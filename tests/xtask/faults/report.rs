//! What is printed: the table of the cells, and the one line that says it all.

use super::{
    case::{FaultCase, Outcome, Violation},
    kills::Kill,
};

/// Prints the table: a heading for each invocation and each of its calls, and a line for each thing that went wrong.
pub fn print_table(outcomes: &[(FaultCase, Outcome)]) {
    let mut heading = String::new();
    for (cell, outcome) in outcomes {
        let this = format!("{}: {}", cell.scenario, cell.call);
        if this != heading {
            println!("\n{this}");
            heading = this;
        }
        println!("  {:24} {}", cell.trouble.name, line(outcome));
    }
    println!();
}

/// Prints the same for random kills, but only those after which something was wrong.
pub fn print_kills(outcomes: &[(Kill, Outcome)]) {
    for (kill, outcome) in outcomes.iter().filter(|(_, outcome)| !outcome.wrongs.is_empty()) {
        println!("  killed after {:?}: {}", kill.after, line(outcome));
    }
}

fn line(outcome: &Outcome) -> String {
    let result = if !outcome.wrongs.is_empty() {
        outcome.wrongs.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    } else if outcome.left {
        String::from("ok, by the sweep")
    } else {
        String::from("ok")
    };
    format!("{:26} {result}", outcome.answer.to_string())
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
    /// Counts more cells.
    pub fn add<T>(&mut self, outcomes: &[(T, Outcome)]) {
        let count = |is: fn(&Violation) -> bool| {
            outcomes.iter().filter(|(_, outcome)| outcome.wrongs.iter().any(is)).count()
        };
        self.cells += outcomes.len();
        self.leaked += count(|wrong| matches!(wrong, Violation::Leaked(_)));
        self.stuck += count(|wrong| matches!(wrong, Violation::Stuck(_)));
        self.mischarged += count(|wrong| matches!(wrong, Violation::Mischarged(_)));
        self.misanswered += count(|wrong| matches!(wrong, Violation::UnexpectedResponse(_)));
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
