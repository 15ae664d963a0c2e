//! The printed report: a line for each goal with its value and what it is computed from, and everything measured.

use std::{fmt, time::Duration};

#[derive(Default)]
pub struct Report {
    goals: Vec<Goal>,
    raw: Vec<(String, String)>,
}

/// A limit, and the measured value.
struct Goal {
    what: String,
    figure: f64,
    limit: f64,
    unit: &'static str,
    made_of: String,
}

impl Report {
    /// Adds a goal: a time as a multiple of its reference.
    pub fn ratio(&mut self, what: &str, limit: f64, time: Duration, reference: Duration) {
        self.goals.push(Goal {
            what: what.to_owned(),
            figure: time.as_secs_f64() / reference.as_secs_f64(),
            limit,
            unit: "",
            made_of: format!("{} ÷ {}", milliseconds(time), milliseconds(reference)),
        });
    }

    /// Adds a goal: bytes, compared in megabytes (2^20).
    pub fn bytes(&mut self, what: &str, limit: f64, bytes: u64) {
        self.goals.push(Goal {
            what: what.to_owned(),
            figure: megabytes(bytes),
            limit,
            unit: " MB",
            made_of: format!("{bytes} bytes"),
        });
    }

    /// Adds a goal: a count of named things.
    pub fn count(&mut self, what: &str, limit: u32, things: &[String]) {
        self.goals.push(Goal {
            what: what.to_owned(),
            figure: f64::from(u32::try_from(things.len()).unwrap_or(u32::MAX)),
            limit: f64::from(limit),
            unit: "",
            made_of: things.join(", "),
        });
    }

    /// Adds a measurement without a goal.
    pub fn raw(&mut self, what: impl Into<String>, figure: impl Into<String>) {
        self.raw.push((what.into(), figure.into()));
    }

    pub fn all_met(&self) -> bool {
        self.goals.iter().all(Goal::is_met)
    }
}

impl Goal {
    fn is_met(&self) -> bool {
        self.figure <= self.limit
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{:<46} {:>9}   {:<9}         made of", "", "measured", "goal")?;
        for goal in &self.goals {
            let digits = if goal.figure.fract() == 0.0 { 0 } else { 3 };
            let figure = format!("{:.digits$}{}", goal.figure, goal.unit);
            let limit = format!("≤ {}{}", goal.limit, goal.unit);
            let verdict = if goal.is_met() { "ok" } else { "MISSED" };
            writeln!(f, "{:<46} {figure:>9}   {limit:<9} {verdict:<7} {}", goal.what, goal.made_of)?;
        }
        writeln!(f, "\nEverything measured:")?;
        for (what, figure) in &self.raw {
            writeln!(f, "  {what:<44} {figure}")?;
        }
        let missed = self.goals.iter().filter(|goal| !goal.is_met()).count();
        write!(f, "\n{missed} of {} goals missed.", self.goals.len())
    }
}

/// The median; the upper one for an even number.
pub fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// The median with the minimum and the maximum.
pub fn spread(times: &[Duration]) -> String {
    let least = times.iter().min().copied().unwrap_or_default();
    let most = times.iter().max().copied().unwrap_or_default();
    format!(
        "{} ({} to {}, {} times)",
        milliseconds(median(times)),
        milliseconds(least),
        milliseconds(most),
        times.len()
    )
}

/// With two decimals below 100 ms.
pub fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 100.0 { format!("{milliseconds:.2} ms") } else { format!("{milliseconds:.0} ms") }
}

/// Bytes in megabytes (2^20).
pub fn megabytes(bytes: u64) -> f64 {
    // Bytes of memory and files are far below 2^52, where an f64 is exact.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    let bytes = bytes as f64;
    bytes / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goal_is_met_at_its_limit_and_missed_beyond_it() {
        let (second, millisecond) = (Duration::from_secs(1), Duration::from_millis(1));
        let mut report = Report::default();
        report.ratio("a", 2.0, second * 2, second);
        report.bytes("b", 1.0, 1 << 20);
        report.count("c", 1, &[String::from("find users")]);
        assert!(report.all_met(), "{report}");
        report.ratio("d", 2.0, second * 2 + millisecond, second);
        assert!(!report.all_met());
        let printed = report.to_string();
        assert!(
            printed
                .lines()
                .any(|line| line.starts_with("d ") && line.contains("2.001") && line.contains("MISSED"))
        );
        assert!(printed.ends_with("1 of 4 goals missed."), "{printed}");
    }

    #[test]
    fn median_does_not_depend_on_the_order() {
        let times: Vec<Duration> = [9, 1, 5].into_iter().map(Duration::from_secs).collect();
        assert_eq!(median(&times), Duration::from_secs(5));
        assert_eq!(spread(&times), "5000 ms (1000 ms to 9000 ms, 3 times)");
    }
}
