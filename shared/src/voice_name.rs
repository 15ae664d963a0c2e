//! The names that this deployment gives to voices at the provider.

use mongodb::bson::oid::ObjectId;

use crate::env::Env;

/// The names of this deployment's voices at the provider: they tell a voice whose answer was lost from every
/// voice that is not ours.
#[derive(Clone, Debug)]
pub struct VoiceNaming {
    stage: String,
}

impl VoiceNaming {
    /// The names of the stage's voices.
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        Self { stage: env.stage().to_owned() }
    }

    /// The name of the voice that a lease makes.
    #[must_use]
    pub fn name(&self, lease_id: ObjectId) -> String {
        format!("newvisions:{}:{lease_id}", self.stage)
    }

    /// The lease that made a voice of this name; `None` for every name that is not, to the letter, one of this
    /// stage's.
    #[must_use]
    pub fn lease(&self, name: &str) -> Option<ObjectId> {
        let lease_id = ObjectId::parse_str(name.rsplit(':').next()?).ok()?;
        (name == self.name(lease_id)).then_some(lease_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_stages_own_names_are_its_own() {
        let of = |stage: &str| VoiceNaming::from_env(&Env::from_iter([("STAGE", stage)]));
        let lease = ObjectId::new();
        let name = of("prod").name(lease);
        assert_eq!(of("prod").lease(&name), Some(lease));
        for foreign in [
            of("prod-eu").name(lease),
            of("dev").name(lease),
            format!("{name}x"),
            format!(" {name}"),
            name.to_uppercase(),
            String::from("newvisions:prod:"),
            String::from("newvisions:prod:my favourite"),
            String::from("Rachel"),
        ] {
            assert_eq!(of("prod").lease(&foreign), None, "{foreign}");
        }
    }
}
