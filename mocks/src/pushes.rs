//! What partners send of their own accord, compiled: targets, plans, steps; and how a run of a plan goes on.
pub mod broker;
pub mod compile;
pub mod run;
pub mod runs;
pub mod send;
pub mod snapshot;
mod tcp;

use std::{sync::Arc, time::Duration};

use http::{HeaderName, Method};
use qiao_mappings::{Codec, Expression, Template};
use qiao_wire::frame::Framing;

use crate::{forms::AnswerPath, spec::Proto};

/// A place that a partner sends to.
pub struct Target {
    pub id: Arc<str>,
    pub route: Route,
    pub headers: Vec<(HeaderName, Template)>,
    pub form: AnswerPath,
    pub answer: Codec,
    pub acknowledged: Option<Expression>,
    pub timeout: Duration,
    pub retry: Vec<Duration>,
}

/// How a push travels.
pub enum Route {
    Http {
        to: Template,
        method: Method,
    },
    Tcp {
        to: Template,
        framing: Framing,
    },
    Amqp {
        exchange: String,
        routing_key: Template,
    },
    /// By a carrier's gateway of the partner: a message from a user.
    Carrier {
        listener: String,
    },
}

impl Route {
    /// The protocol that faults see.
    pub fn proto(&self) -> Proto {
        match self {
            Self::Http { .. } => Proto::Http,
            Self::Tcp { .. } => Proto::Tcp,
            // Faults of pushes are the same on all of them.
            Self::Amqp { .. } | Self::Carrier { .. } => Proto::Amqp,
        }
    }
}

/// Steps by the clock.
pub struct Plan {
    /// Of a plan its name, of a stub's own steps the stub's id.
    pub id: Arc<str>,
    pub title: Option<String>,
    pub steps: Vec<Step>,
}

/// What follows a stub's answer.
pub struct Then {
    pub plan: Arc<Plan>,
    /// Without it, always.
    pub when: Option<Expression>,
}

/// One push of a plan.
pub struct Step {
    pub id: Arc<str>,
    pub after: Duration,
    pub when: Option<Expression>,
    pub state: Option<Move>,
    pub target: Arc<Target>,
    pub json: Template,
}

/// What a step does to the business key's state.
pub struct Move {
    pub machine: Box<str>,
    pub to: Option<Box<str>>,
    pub set: Vec<(String, Template)>,
}
