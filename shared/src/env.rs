//! Configuration: environment variables, read once at start. The only file that may look at the environment.
//!
//! A function's `State` asks [`Env`] for exactly the variables it needs, so that a Lambda that lacks one says
//! which at start, and not in the middle of a show. Tests and the local runner build an `Env` from a map.

use std::{collections::HashMap, str::FromStr};

use secrecy::SecretString;

/// A set of named values with typed readers. Reading never panics; a bad value names its variable.
#[derive(Clone, Default)]
pub struct Env(HashMap<String, String>);

/// A variable that is missing or cannot be read. Its text names the variable and never shows a secret's value.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    /// The variable has no value.
    #[error("the environment variable {0} is missing")]
    Missing(&'static str),
    /// The variable has a value of the wrong form.
    #[error("the environment variable {name} is not {expected}")]
    Malformed {
        /// The variable's name.
        name: &'static str,
        /// What a right value is, in words.
        expected: &'static str,
    },
}

impl Env {
    /// The variables of this process. Empty ones count as absent, as CloudFormation cannot leave one out.
    #[must_use]
    pub fn from_process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        std::env::vars().collect()
    }

    /// The value of a variable that has a meaning when absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of a variable that must be there.
    pub fn required(&self, name: &'static str) -> Result<&str, EnvError> {
        self.get(name).ok_or(EnvError::Missing(name))
    }

    /// A required value that must not be printed.
    pub fn secret(&self, name: &'static str) -> Result<SecretString, EnvError> {
        self.required(name).map(SecretString::from)
    }

    /// A whole number with a default.
    pub fn parse_or<T: FromStr>(&self, name: &'static str, default: T) -> Result<T, EnvError> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value
                .parse()
                .map_err(|_| EnvError::Malformed { name, expected: "a whole number within bounds" }),
        }
    }

    /// The deployment stage: `local`, `test`, `prod`, … It is part of every cloned voice's name.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.get("STAGE").unwrap_or("local")
    }
}

impl IntoIterator for Env {
    type Item = (String, String);
    type IntoIter = std::collections::hash_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for Env {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        self.0.extend(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}
