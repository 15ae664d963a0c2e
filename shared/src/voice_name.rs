//! The names of this deployment's voices at the provider: `newvisions:<stage>:<lease id>`.

use mongodb::bson::oid::ObjectId;

use crate::env::Env;

/// Builds and parses voice names. A voice whose create was not answered is found by its name, and only voices with
/// such a name are ever deleted.
#[derive(Clone, Debug)]
pub struct VoiceNaming {
    stage: String,
}

impl VoiceNaming {
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        Self { stage: env.stage().to_owned() }
    }

    /// The name of the voice that is created under a lease.
    #[must_use]
    pub fn name(&self, lease_id: ObjectId) -> String {
        format!("newvisions:{}:{lease_id}", self.stage)
    }

    /// The lease in a name; `None` unless the name is exactly one of this stage's.
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
    fn voice_name_is_parsed_only_for_its_own_stage() {
        let naming = |stage: &str| VoiceNaming::from_env(&Env::from_iter([("STAGE", stage)]));
        let lease = ObjectId::new();
        let name = naming("prod").name(lease);
        assert_eq!(naming("prod").lease(&name), Some(lease));
        for foreign in [
            naming("prod-eu").name(lease),
            naming("dev").name(lease),
            format!("{name}x"),
            format!(" {name}"),
            name.to_uppercase(),
            String::from("newvisions:prod:"),
            String::from("newvisions:prod:my favourite"),
            String::from("Rachel"),
        ] {
            assert_eq!(naming("prod").lease(&foreign), None, "{foreign}");
        }
    }
}
