//! What a model can do on a deployment. The answer to "can it carry this call", apart from "may it".

use serde::{Deserialize, Serialize};

/// What a model can do on a deployment: defaults from the catalog, overruled by the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// Takes tools.
    pub tools: bool,
    /// May ask for several tools at once.
    pub parallel_tools: bool,
    /// Can be forced to call a tool (`required`, named).
    pub forced_tools: bool,
    /// Takes images.
    pub vision: bool,
    /// Takes documents (PDF).
    pub documents: bool,
    /// Obeys a JSON schema by itself.
    pub json_schema: bool,
    /// How its thinking is steered.
    pub reasoning: ReasoningControl,
    /// Reports likelihoods.
    pub logprobs: bool,
    /// Takes temperature and top_p (several reasoning models refuse them).
    pub sampling: bool,
    /// Gives more than one candidate.
    pub candidates: bool,
    /// Continues an assistant message that the caller began.
    pub prefill: bool,
    /// Context window in tokens, 0 where unknown.
    pub context_tokens: u64,
    /// Longest answer in tokens, 0 where unknown. Where a dialect requires a limit and the caller gave none,
    /// this is what is sent.
    pub max_output_tokens: u64,
}

impl Default for Capabilities {
    /// What is assumed of a model that the catalog does not know: a modern chat model.
    fn default() -> Self {
        Self {
            tools: true,
            parallel_tools: true,
            forced_tools: true,
            vision: true,
            documents: true,
            json_schema: true,
            reasoning: ReasoningControl::None,
            logprobs: true,
            sampling: true,
            candidates: true,
            prefill: false,
            context_tokens: 0,
            max_output_tokens: 0,
        }
    }
}

/// How a model's thinking is steered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReasoningControl {
    /// It does not think, or takes no steering: an asked-for effort is a loss.
    #[default]
    None,
    /// In words (`reasoning_effort`, Gemini `thinkingLevel`, Anthropic `effort`).
    Effort,
    /// In tokens (Anthropic `budget_tokens`, Gemini `thinkingBudget`).
    Budget,
    /// It decides itself how much, steered by words (Anthropic adaptive thinking).
    Adaptive,
}
