//! The names of this deployment's voices at the provider: `newvisions:<stage>:<deployment id>:<lease id>`.
//!
//! Deployments that share an account and a stage's name, such as two developers' machines, tell their voices apart by the
//! deployment id: random, and stored in the database ([`crate::clone_slots`]). Earlier versions left it out.

use mongodb::bson::oid::ObjectId;

use crate::env::Env;

/// Builds and parses voice names. A voice whose create was not answered is found by its name, and only voices with
/// such a name are ever deleted.
#[derive(Clone, Debug)]
pub struct VoiceNaming {
    stage: String,
}

/// What the name of a voice of this stage says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VoiceName {
    /// `None` in the names of earlier versions.
    pub deployment: Option<String>,
    /// The lease under which the voice was created.
    pub lease_id: ObjectId,
}

impl VoiceNaming {
    #[must_use]
    pub fn from_env(env: &Env) -> Self {
        Self { stage: env.stage().to_owned() }
    }

    /// What every name of this stage begins with.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("newvisions:{}:", self.stage)
    }

    /// The name of the voice that a deployment creates under a lease.
    #[must_use]
    pub fn name(&self, deployment: &str, lease_id: ObjectId) -> String {
        format!("{}{deployment}:{lease_id}", self.prefix())
    }

    /// `None` unless the name is exactly one of this stage's.
    #[must_use]
    pub fn parse(&self, name: &str) -> Option<VoiceName> {
        let rest = name.strip_prefix(&self.prefix())?;
        let (deployment, lease) = match rest.split_once(':') {
            Some((deployment, lease)) => (Some(deployment), lease),
            None => (None, rest),
        };
        let lease_id = ObjectId::parse_str(lease).ok().filter(|id| id.to_hex() == lease)?;
        if deployment.is_some_and(|id| !is_deployment_id(id)) {
            return None;
        }
        Some(VoiceName { deployment: deployment.map(str::to_owned), lease_id })
    }
}

/// A new, random deployment id.
#[must_use]
pub fn new_deployment_id() -> String {
    let mut id = uuid::Uuid::new_v4().simple().to_string();
    id.truncate(DEPLOYMENT_ID_DIGITS);
    id
}

const DEPLOYMENT_ID_DIGITS: usize = 16;

fn is_deployment_id(id: &str) -> bool {
    id.len() == DEPLOYMENT_ID_DIGITS && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voice_name_is_parsed_only_for_its_own_stage() {
        let naming = |stage: &str| VoiceNaming::from_env(&Env::from_iter([("STAGE", stage)]));
        let (deployment, lease_id) = (new_deployment_id(), ObjectId::new());
        let name = naming("prod").name(&deployment, lease_id);
        let parse = |name: &str| naming("prod").parse(name);
        assert_eq!(parse(&name), Some(VoiceName { deployment: Some(deployment.clone()), lease_id }));
        let earlier = format!("newvisions:prod:{lease_id}");
        assert_eq!(parse(&earlier), Some(VoiceName { deployment: None, lease_id }));
        for foreign in [
            naming("prod-eu").name(&deployment, lease_id),
            naming("dev").name(&deployment, lease_id),
            format!("{name}x"),
            format!(" {name}"),
            name.to_uppercase(),
            format!("{earlier}x"),
            earlier.to_uppercase(),
            format!("newvisions:prod:{}", lease_id.to_hex().to_uppercase()),
            format!("newvisions:prod::{lease_id}"),
            format!("newvisions:prod:x:{lease_id}"),
            format!("newvisions:prod:{}:{lease_id}", deployment.to_uppercase() + "A"),
            format!("newvisions:prod:{deployment}:"),
            format!("newvisions:prod:{deployment}:{lease_id}:"),
            String::from("newvisions:prod:"),
            String::from("newvisions:prod:my favourite"),
            String::from("Rachel"),
        ] {
            assert_eq!(parse(&foreign), None, "{foreign}");
        }
    }

    #[test]
    fn deployment_ids_differ() {
        let (one, other) = (new_deployment_id(), new_deployment_id());
        assert!(is_deployment_id(&one) && is_deployment_id(&other));
        assert_ne!(one, other);
    }
}
