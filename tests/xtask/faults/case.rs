//! One cell of the table: an invocation, something that goes wrong with one of its calls, and what must hold
//! afterwards.
//!
//! Afterwards another user performs, and the same request comes again, as clients do. Then the leases run out, and
//! one sweep must put everything right; then the same request must succeed, if it did not before.

use std::fmt;

use super::{
    answer::Answer,
    call::Call,
    fault::{self, FaultSpec, Then},
    scenario::Scenario,
    world::{CLONE_SLOTS, PerformRequest, World},
};

/// One cell.
#[derive(Clone, Debug)]
pub struct FaultCase {
    pub scenario: Scenario,
    pub call: Call,
    pub trouble: FaultSpec,
}

/// What became of it.
#[derive(Debug)]
pub struct Outcome {
    /// What the client got.
    pub answer: Answer,
    /// Whether something was left to the sweep.
    pub left: bool,
    /// What must not be.
    pub wrongs: Vec<Violation>,
}

/// What must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A voice that must not live does, or one that must does not.
    Leaked(String),
    /// Something is held that nobody holds, or a request can never succeed.
    Stuck(String),
    /// Characters were charged without audio or twice, or a repeated request got something else.
    Mischarged(String),
    /// The client got an answer that is not in the contract.
    UnexpectedResponse(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leaked(what) => write!(f, "LEAKED: {what}"),
            Self::Stuck(what) => write!(f, "STUCK: {what}"),
            Self::Mischarged(what) => write!(f, "MISCHARGED: {what}"),
            Self::UnexpectedResponse(what) => write!(f, "MISANSWERED: {what}"),
        }
    }
}

impl FaultCase {
    /// Runs it. An error means that the world is broken, not the functions.
    pub async fn run(&self, world: &mut World, key: String) -> Result<Outcome, String> {
        let wish = self.scenario.wish(key);
        if self.trouble.then == Then::DeleteAccount {
            // Of earlier cells' performs there may be audio that nothing refers to, until it expires.
            world.register_again().await?;
        }
        let before = Charges::read(world).await?;
        self.scenario.prepare(world, &wish).await?;
        self.trouble.order(world, &self.call);
        let answer = self.act(world, &wish).await?;
        tokio::time::sleep(self.trouble.lingers).await;
        let met = fault::met(world, &self.call).already();
        world.heal();

        let mut outcome = Outcome::of(answer, self.trouble.then == Then::Kill);
        if !met {
            outcome.wrongs.push(Violation::UnexpectedResponse(String::from("the call never came")));
        }
        if self.trouble.then == Then::DeleteAccount {
            after_deletion(world, &mut outcome).await?;
        } else {
            let may_be_free = self.call.writes_down() || self.trouble.then == Then::DatabaseDown;
            aftermath(world, &wish, &before, may_be_free, &mut outcome).await?;
        }
        Ok(outcome)
    }

    async fn act(&self, world: &World, wish: &PerformRequest) -> Result<Answer, String> {
        let act = self.scenario.act(world, wish);
        let meanwhile = async {
            fault::met(world, &self.call).wait().await;
            match self.trouble.then {
                Then::Nothing => {}
                Then::Kill => self.scenario.kill(world).await,
                Then::DatabaseDown => world.wire().set_down(true),
                Then::DeleteAccount => world.delete_account().await?,
            }
            // What was met first decides nothing: the answer ends it.
            std::future::pending().await
        };
        tokio::select! {
            answer = act => Ok(answer),
            failed = meanwhile => failed,
        }
    }
}

/// Characters charged to both users.
pub struct Charges {
    ada: i64,
    bob: i64,
}

impl Charges {
    /// As they are now.
    pub async fn read(world: &World) -> Result<Self, String> {
        Ok(Self { ada: world.charged(&world.ada).await?, bob: world.charged(&world.bob).await? })
    }
}

impl Outcome {
    /// Judges the answer; not all may see the process end.
    pub fn of(answer: Answer, may_be_killed: bool) -> Self {
        let wrong = match &answer {
            Answer::Violation(what) => Some(what.clone()),
            Answer::Killed if !may_be_killed => Some(String::from("the process ended")),
            _ => None,
        };
        Self { answer, left: false, wrongs: wrong.into_iter().map(Violation::UnexpectedResponse).collect() }
    }
}

/// What clients and the sweep do afterwards, and what must hold then. The answer that was disturbed may have been
/// given for nothing if what was disturbed was the writing down of it.
pub async fn aftermath(
    world: &World,
    wish: &PerformRequest,
    before: &Charges,
    may_be_free: bool,
    outcome: &mut Outcome,
) -> Result<(), String> {
    let was_free = may_be_free && Charges::read(world).await?.ada == before.ada;
    let mut answers: Vec<Answer> = Vec::new();
    if !was_free {
        answers.push(outcome.answer.clone());
    }
    let bystander = PerformRequest { body: PerformRequest::routine(), key: None };
    let bobs = Answer::read(world.perform(&world.bob, &bystander).await);
    answers.push(Answer::read(world.perform(&world.ada, wish).await));
    let busy = [&bobs, &answers[answers.len() - 1]].into_iter().any(|answer| !answer.is_audio());

    world.run_out_leases().await?;
    match world.sweep().await {
        Ok(swept) => {
            let did = |what: &str| swept[what].as_u64().unwrap_or(0) > 0;
            outcome.left = busy || did("swept") || did("released");
            if did("failed") {
                outcome.wrongs.push(Violation::Leaked(String::from("a sweep could not delete a voice")));
            }
        }
        Err(failure) => outcome.wrongs.push(Violation::Stuck(format!("a sweep failed: {failure}"))),
    }
    outcome.nothing_remains(world).await?;

    let last = Answer::read(world.perform(&world.ada, wish).await);
    if !last.is_audio() {
        outcome.wrongs.push(Violation::Stuck(format!("the same request again gave: {last}")));
    }
    answers.push(last);
    for answer in answers.iter().rev().take(2).chain([&bobs]) {
        if let Answer::Violation(what) = answer {
            outcome.wrongs.push(Violation::UnexpectedResponse(format!("afterwards: {what}")));
        }
    }
    outcome.nothing_remains(world).await?;
    outcome.charges(&answers, &bobs, before, &Charges::read(world).await?);
    Ok(())
}

/// What must hold when the user has deleted the account in the middle of a perform.
async fn after_deletion(world: &mut World, outcome: &mut Outcome) -> Result<(), String> {
    world.run_out_leases().await?;
    if let Err(failure) = world.sweep().await {
        outcome.wrongs.push(Violation::Stuck(format!("a sweep failed: {failure}")));
    }
    outcome.nothing_remains(world).await?;
    let objects = world.objects_of(&world.ada);
    if !objects.is_empty() {
        outcome.wrongs.push(Violation::Stuck(format!("of a deleted account there remains: {objects:?}")));
    }
    world.register_again().await
}

impl Outcome {
    async fn nothing_remains(&mut self, world: &World) -> Result<(), String> {
        for name in world.living() {
            self.wrongs.push(Violation::Leaked(format!("{name} lives")));
        }
        let gone = world.foreign_gone();
        if gone > 0 {
            self.wrongs.push(Violation::Leaked(format!("{gone} foreign voices are gone")));
        } else if world.most_living() > CLONE_SLOTS {
            let most = world.most_living();
            self.wrongs.push(Violation::Leaked(format!("{most} voices lived at once")));
        }
        self.wrongs.extend(world.held().await?.into_iter().map(Violation::Stuck));
        Ok(())
    }

    /// One charge for all requests with one key, if one of them gave audio, and then equal bytes for all.
    fn charges(&mut self, adas: &[Answer], bobs: &Answer, before: &Charges, after: &Charges) {
        let audio: Vec<&Answer> = adas.iter().filter(|answer| answer.is_audio()).collect();
        if audio.windows(2).any(|pair| pair[0] != pair[1]) {
            self.wrongs.push(Violation::Mischarged(String::from("equal requests got different bytes")));
        }
        let cost = audio.first().map_or(0, |answer| answer.cost());
        let charged = after.ada - before.ada;
        if charged != cost {
            self.wrongs.push(Violation::Mischarged(format!("{charged} characters charged and not {cost}")));
        }
        let (charged, cost) = (after.bob - before.bob, bobs.cost());
        if charged != cost {
            self.wrongs.push(Violation::Mischarged(format!("bystander: {charged} charged and not {cost}")));
        }
    }
}
