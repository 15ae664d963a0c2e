//! The printed report: a table of the cases, and a summary as the last line.

use super::{
    case::{FaultCase, Outcome, Violation},
    kills::Kill,
};

/// Prints the table: a heading for each invocation and call, and a line for each fault.
pub fn print_table(outcomes: &[(FaultCase, Outcome)]) {
    let mut heading = String::new();
    for (case, outcome) in outcomes {
        let this = format!("{}: {}", case.scenario, case.call);
        if this != heading {
            println!("\n{this}");
            heading = this;
        }
        println!("  {:24} {}", case.fault.name, line(outcome));
    }
    println!();
}

/// Prints the random kills that led to a violation.
pub fn print_kills(outcomes: &[(Kill, Outcome)]) {
    for (kill, outcome) in outcomes.iter().filter(|(_, outcome)| !outcome.violations.is_empty()) {
        println!("  killed after {:?}: {}", kill.after, line(outcome));
    }
}

fn line(outcome: &Outcome) -> String {
    let result = if !outcome.violations.is_empty() {
        outcome.violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    } else if outcome.left_to_sweep {
        String::from("ok, after the sweep")
    } else {
        String::from("ok")
    };
    format!("{:26} {result}", outcome.response.to_string())
}

/// The number of cases, and of those with each kind of violation.
#[derive(Default)]
pub struct Summary {
    cases: usize,
    leaked: usize,
    stuck: usize,
    mischarged: usize,
    unexpected: usize,
}

impl Summary {
    pub fn add<T>(&mut self, outcomes: &[(T, Outcome)]) {
        let count = |is: fn(&Violation) -> bool| {
            outcomes.iter().filter(|(_, outcome)| outcome.violations.iter().any(is)).count()
        };
        self.cases += outcomes.len();
        self.leaked += count(|violation| matches!(violation, Violation::Leaked(_)));
        self.stuck += count(|violation| matches!(violation, Violation::Stuck(_)));
        self.mischarged += count(|violation| matches!(violation, Violation::Mischarged(_)));
        self.unexpected += count(|violation| matches!(violation, Violation::UnexpectedResponse(_)));
    }

    pub fn is_clean(&self) -> bool {
        self.leaked + self.stuck + self.mischarged + self.unexpected == 0
    }

    /// Prints the summary. The format of the last line is what other tools read.
    pub fn print(&self) {
        if self.unexpected > 0 {
            println!("{} cases got a response that is not in the contract", self.unexpected);
        }
        println!(
            "{} cells, {} leaked, {} stuck, {} mischarged",
            self.cases, self.leaked, self.stuck, self.mischarged
        );
    }
}
