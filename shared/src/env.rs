//! Configuration: environment variables, read once at start. The only file that may look at the environment.
//!
//! A function's `AppState` asks [`Env`] for exactly the variables it needs, so that a Lambda that lacks one says
//! which at start, and not in the middle of a request. Tests and the local runner build an `Env` from a map.

use std::{
    collections::{BTreeSet, HashMap},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use secrecy::SecretString;

/// Named values with typed readers. Reading never panics; a bad value names its variable.
#[derive(Clone, Default)]
pub struct Env {
    values: HashMap<String, String>,
    /// Shared by clones, so that one list holds what all parts of a function asked for.
    requested: Arc<Mutex<BTreeSet<&'static str>>>,
}

/// A variable that is missing or malformed. The message names it and never shows a value, which may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum EnvError {
    #[error("the environment variable {0} is missing")]
    Missing(&'static str),
    #[error("the environment variable {name} is not {expected}")]
    Malformed {
        name: &'static str,
        /// What a valid value is, such as "a whole number within bounds".
        expected: &'static str,
    },
}

impl Env {
    /// The variables of this process.
    #[must_use]
    pub fn from_process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        std::env::vars().collect()
    }

    /// An optional variable. An empty value counts as absent, because CloudFormation cannot leave a variable out.
    #[must_use]
    pub fn get(&self, name: &'static str) -> Option<&str> {
        self.requested.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn required(&self, name: &'static str) -> Result<&str, EnvError> {
        self.get(name).ok_or(EnvError::Missing(name))
    }

    /// A required variable that must not be printed.
    pub fn secret(&self, name: &'static str) -> Result<SecretString, EnvError> {
        self.required(name).map(SecretString::from)
    }

    /// A whole number, or `default` if the variable is absent.
    pub fn parse_or<T: FromStr>(&self, name: &'static str, default: T) -> Result<T, EnvError> {
        match self.get(name) {
            None => Ok(default),
            Some(value) => value
                .parse()
                .map_err(|_| EnvError::Malformed { name, expected: "a whole number within bounds" }),
        }
    }

    /// `true` or `false`; false if the variable is absent.
    pub fn flag(&self, name: &'static str) -> Result<bool, EnvError> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(EnvError::Malformed { name, expected: "true or false" }),
        }
    }

    /// The deployment stage: `local`, `test`, `prod`, … It is part of every cloned voice's name.
    #[must_use]
    pub fn stage(&self) -> &str {
        self.get("STAGE").unwrap_or("local")
    }

    /// The names asked for so far, of this value and its clones, whether they had a value or not. A test compares
    /// them with `.env.example` and `template.yaml`.
    #[must_use]
    pub fn requested(&self) -> BTreeSet<&'static str> {
        self.requested.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl IntoIterator for Env {
    type Item = (String, String);
    type IntoIter = std::collections::hash_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.into_iter()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut env = Self::default();
        env.extend(pairs);
        env
    }
}

impl<K: Into<String>, V: Into<String>> Extend<(K, V)> for Env {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, pairs: I) {
        self.values.extend(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}
