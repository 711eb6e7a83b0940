//! What happened, told for whoever has to find out why a seed failed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

/// Steps that are told at most; the last ones are.
const STEPS_MAX: usize = 300;

/// The last steps of a world, unless nobody wants to hear them.
#[derive(Clone, Debug)]
pub(crate) struct Story {
    steps: Option<Rc<RefCell<VecDeque<String>>>>,
}

impl Story {
    pub(crate) fn told() -> Self {
        Self { steps: Some(Rc::default()) }
    }

    pub(crate) fn untold() -> Self {
        Self { steps: None }
    }

    pub(crate) fn tell(&self, step: impl FnOnce() -> String) {
        let Some(steps) = &self.steps else { return };
        let mut steps = steps.borrow_mut();
        if steps.len() == STEPS_MAX {
            steps.pop_front();
        }
        steps.push_back(step());
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(steps) = &self.steps else { return Ok(()) };
        steps.borrow().iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}
