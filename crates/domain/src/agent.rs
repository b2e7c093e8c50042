//! Known agents and the headers by which they show themselves and name their sessions.
//!
//! **Evidence, never permission.** Any client can send any header. So an agent's header tells a workload's profile
//! who calls and where state lives, and nothing else: it is no attribute, no rule can read it, and it does not
//! change the class that terms judge. Otherwise a client could step out of a rule about stateless calls by sending
//! the name of a session that nobody keeps.

use crate::class::Keeper;
use serde::{Serialize, Serializer};

macro_rules! agents {
    ($($(#[doc = $doc:literal])+ $variant:ident = $number:literal, $name:literal, $title:literal, $keeper:ident;)+) => {
        /// An agent that was recognised. The numbers are those of records: never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Agent {
            $($(#[doc = $doc])+ $variant = $number,)+
        }

        impl Agent {
            /// Every agent.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in records and JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Its name for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// Where it keeps its sessions.
            #[must_use]
            pub const fn keeper(self) -> Keeper {
                match self { $(Self::$variant => Keeper::$keeper,)+ }
            }
        }
    };
}

agents! {
    /// A session header that several agents use; which one it is, is not known.
    Unnamed = 1, "unnamed", "an agent with a session header", Client;
    /// Claude Code: transcripts on the developer's machine.
    ClaudeCode = 2, "claude-code", "Claude Code", Client;
    /// Codex CLI and its editors' plugins.
    Codex = 3, "codex", "Codex", Client;
    /// Cursor.
    Cursor = 4, "cursor", "Cursor", Client;
    /// OpenCode.
    OpenCode = 5, "opencode", "OpenCode", Client;
    /// Gemini CLI.
    GeminiCli = 6, "gemini-cli", "Gemini CLI", Client;
    /// Qwen Code.
    QwenCode = 7, "qwen-code", "Qwen Code", Client;
    /// OpenAI's Agents SDK: sessions in the application or its own store.
    OpenAiAgents = 8, "openai-agents", "OpenAI Agents SDK", Client;
    /// Amazon Bedrock AgentCore Runtime: a managed runtime keeps the session.
    AgentCore = 9, "agentcore", "Bedrock AgentCore Runtime", OutsideStore;
    /// LangGraph: threads in its checkpointer.
    LangGraph = 10, "langgraph", "LangGraph", OutsideStore;
}

impl Agent {
    /// The number in records.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The agent of a number; `None` for one that this binary does not know.
    #[must_use]
    pub fn by_number(number: u8) -> Option<Self> {
        Self::ALL.iter().copied().find(|agent| agent.number() == number)
    }

    /// The agent of a word.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|agent| agent.name() == name)
    }
}

impl Serialize for Agent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Headers that name a session, in lower case, with whose they are. The specific ones stand first.
const SESSIONS: [(&str, Agent); 15] = [
    ("x-claude-code-session-id", Agent::ClaudeCode),
    ("x-codex-session-id", Agent::Codex),
    ("conversation_id", Agent::Codex),
    ("x-opencode-session", Agent::OpenCode),
    ("x-cursor-session-id", Agent::Cursor),
    ("x-qwen-code-session-id", Agent::QwenCode),
    ("x-gemini-session-id", Agent::GeminiCli),
    ("x-amzn-bedrock-agentcore-runtime-session-id", Agent::AgentCore),
    ("x-langgraph-thread-id", Agent::LangGraph),
    ("x-multi-turn-session-id", Agent::Unnamed),
    ("x-session-affinity", Agent::Unnamed),
    ("session_id", Agent::Unnamed),
    ("session-id", Agent::Unnamed),
    ("x-session-id", Agent::Unnamed),
    ("thread-id", Agent::Unnamed),
];

/// How the `user-agent` (or Codex's `originator`) of an agent begins.
const USER_AGENTS: [(&str, Agent); 11] = [
    ("claude-cli/", Agent::ClaudeCode),
    ("claude-code/", Agent::ClaudeCode),
    ("codex_", Agent::Codex),
    ("codex-", Agent::Codex),
    ("Codex Desktop", Agent::Codex),
    ("Cursor/", Agent::Cursor),
    ("opencode/", Agent::OpenCode),
    ("GeminiCLI/", Agent::GeminiCli),
    ("QwenCode/", Agent::QwenCode),
    ("Agents/", Agent::OpenAiAgents),
    ("langgraph", Agent::LangGraph),
];

/// What the headers of a call tell of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentMarks {
    /// Which agent.
    pub agent: Option<Agent>,
    /// A session is named. Its id is not kept.
    pub session: bool,
}

impl AgentMarks {
    /// Takes one header in. `name` is in lower case, as HTTP libraries give it; most names are told apart by
    /// length and first bytes, so a call pays some nanoseconds per header.
    pub fn see(&mut self, name: &str, value: &[u8]) {
        match name {
            "user-agent" | "originator" => {
                let begins = |(word, _): &&(&str, Agent)| value.starts_with(word.as_bytes());
                if let Some((_, agent)) = USER_AGENTS.iter().find(begins) {
                    self.agent = Some(*agent);
                }
            }
            _ => {
                let last = name.as_bytes().last();
                // Every name of the list ends in one of these; nearly no other header does.
                if !matches!(last, Some(b'd' | b'n' | b'y')) || name.len() < 9 {
                    return;
                }
                if let Some((_, agent)) = SESSIONS.iter().find(|(known, _)| *known == name)
                    && !value.is_empty()
                {
                    self.session = true;
                    if *agent != Agent::Unnamed || self.agent.is_none() {
                        self.agent = Some(*agent);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(headers: &[(&str, &str)]) -> AgentMarks {
        let mut marks = AgentMarks::default();
        headers.iter().for_each(|(name, value)| marks.see(name, value.as_bytes()));
        marks
    }

    #[test]
    fn every_session_header_is_seen() {
        for (name, agent) in SESSIONS {
            assert_eq!(marks(&[(name, "s-1")]), AgentMarks { agent: Some(agent), session: true }, "{name}");
            assert_eq!(marks(&[(name, "")]), AgentMarks::default(), "{name}: an empty one says nothing");
        }
    }

    #[test]
    fn agents_are_known_by_how_they_call_themselves() {
        for (agent_header, agent) in [
            ("claude-cli/2.1.88 (external, cli)", Agent::ClaudeCode),
            ("codex_cli_rs/0.72.0 (Mac OS 26.0.1; arm64)", Agent::Codex),
            ("codex-tui/0.149.1 (Linux)", Agent::Codex),
            ("Agents/Python 0.9.1", Agent::OpenAiAgents),
            ("GeminiCLI/v0.8.1 (linux; x64)", Agent::GeminiCli),
        ] {
            let seen = marks(&[("user-agent", agent_header)]);
            assert_eq!(seen, AgentMarks { agent: Some(agent), session: false }, "{agent_header}");
        }
        assert_eq!(marks(&[("user-agent", "OpenAI/Python 2.1.0"), ("accept", "*/*")]), AgentMarks::default());
    }

    #[test]
    fn a_session_header_of_many_does_not_hide_who_it_is() {
        let codex = Some(Agent::Codex);
        let either = [("user-agent", "codex_cli_rs/0.72.0"), ("session_id", "s")];
        assert_eq!(marks(&either), AgentMarks { agent: codex, session: true });
        let turned = [either[1], either[0]];
        assert_eq!(marks(&turned), AgentMarks { agent: codex, session: true });
    }

    #[test]
    fn numbers_and_words_find_their_agent() {
        for agent in Agent::ALL {
            assert_eq!(Agent::by_number(agent.number()), Some(*agent));
            assert_eq!(Agent::by_name(agent.name()), Some(*agent));
        }
    }
}
