//! How much Claude-style models are told to think: effort in words ↔ budget in tokens ↔ adaptive, with the
//! bounds that their hosts demand. One table for Anthropic Messages and Bedrock Converse.

use crate::carried::cannot;
use domain::{Call, Capabilities, Dialect, Effort, Fault, Losses, ReasoningControl};

/// The smallest thinking budget that hosts take, in tokens (Anthropic's documentation of `budget_tokens`).
const MIN_BUDGET: u64 = 1_024;
/// Room for the visible answer that is added to a budget where the caller named no limit.
const ROOM: u64 = 4_096;

/// What is to be said about thinking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Thinking {
    /// How it is steered.
    pub(crate) mode: Mode,
    /// The effort in words, where the model takes words.
    pub(crate) effort: Option<Effort>,
    /// The answer's limit in tokens, thinking included; `None` where the caller named none and the budget
    /// does not need one.
    pub(crate) max_tokens: Option<u64>,
    /// Whether the thoughts are to be returned, where the caller said so.
    pub(crate) include: Option<bool>,
}

/// How thinking is steered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Nothing is said.
    #[default]
    Unsaid,
    /// Said to be off.
    Off,
    /// A budget in tokens.
    Budget(u64),
    /// The model decides.
    Adaptive,
}

impl Thinking {
    /// True where the host will think by our word, so that its rules for thinking calls hold.
    pub(crate) const fn on(&self) -> bool {
        matches!(self.mode, Mode::Budget(_) | Mode::Adaptive)
    }
}

/// What to say to a model that is steered as `can` says.
pub(crate) fn plan(call: &Call, can: &Capabilities, losses: &mut Losses) -> Result<Thinking, Fault> {
    let asked = call.options.max_output_tokens;
    let unsaid = Thinking { max_tokens: asked, ..Thinking::default() };
    let Some(wish) = call.options.reasoning else { return Ok(unsaid) };
    let off = wish.effort == Some(Effort::None) || (wish.effort.is_none() && wish.budget_tokens == Some(0));
    let wants = wish.effort.is_some() || wish.budget_tokens.is_some() || wish.adaptive == Some(true);
    if !wants {
        return Ok(unsaid);
    }
    let words = wish.effort.or_else(|| wish.budget_tokens.map(Effort::from_budget));
    match can.reasoning {
        ReasoningControl::None => {
            if !off {
                losses.add(loss_name(call.dialect));
            }
            Ok(unsaid)
        }
        ReasoningControl::Effort | ReasoningControl::Budget if off => Ok(unsaid),
        ReasoningControl::Adaptive if off => Ok(Thinking { mode: Mode::Off, ..unsaid }),
        ReasoningControl::Effort => Ok(Thinking { effort: words.map(spoken), ..unsaid }),
        ReasoningControl::Adaptive => {
            Ok(Thinking { mode: Mode::Adaptive, effort: words.map(spoken), include: wish.include, ..unsaid })
        }
        ReasoningControl::Budget => {
            let budget =
                wish.budget_tokens.unwrap_or_else(|| words.unwrap_or(Effort::Medium).budget_tokens());
            let (budget, max_tokens) = fit(budget, asked, can.max_output_tokens)?;
            Ok(Thinking {
                mode: Mode::Budget(budget),
                effort: None,
                max_tokens: Some(max_tokens),
                include: wish.include,
            })
        }
    }
}

/// Fits a budget under the answer's limit: the caller's limit holds and the budget shrinks to half of it; a
/// limit of ours grows to make room. At least [`MIN_BUDGET`], else it is impossible.
fn fit(budget: u64, asked: Option<u64>, model_max: u64) -> Result<(u64, u64), Fault> {
    let budget = budget.max(MIN_BUDGET);
    let limit = match asked {
        Some(limit) => limit,
        None if model_max == 0 => budget.saturating_add(ROOM),
        None => model_max,
    };
    let limit = if model_max > 0 { limit.min(model_max) } else { limit };
    if limit <= MIN_BUDGET {
        return Err(cannot(
            "max_tokens",
            format!(
                "thinking takes at least {MIN_BUDGET} tokens of the limit; raise it above that or ask for no reasoning"
            ),
        ));
    }
    let budget = if budget < limit { budget } else { (limit / 2).max(MIN_BUDGET) };
    Ok((budget, limit))
}

/// The words that these hosts know: `low` is the least.
const fn spoken(effort: Effort) -> Effort {
    match effort {
        Effort::None | Effort::Minimal => Effort::Low,
        other => other,
    }
}

/// The wire name of the wish to think, in the dialect that it came in.
pub(crate) const fn loss_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "reasoning_effort",
        Dialect::OpenAiResponses => "reasoning.effort",
        Dialect::AnthropicMessages => "thinking",
        Dialect::Gemini => "generationconfig.thinkingconfig",
        Dialect::BedrockConverse => "additionalmodelrequestfields.thinking",
    }
}
