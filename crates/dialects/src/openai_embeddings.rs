//! OpenAI Embeddings: texts in, vectors out. It only passes through: callers and hosts that speak it speak the same,
//! so there is nothing to translate and no [`crate::Codec`]. Its errors are those of [`crate::openai_chat`], its
//! answers are read by [`crate::openai_chat::passthrough::ReplyPeek::read_embeddings`].

use crate::{
    edit::{Edits, Rope},
    openai_chat::passthrough::request::{MAX_MODEL_BYTES, quoted},
    scan::{Bad, Cursor, Kind},
};
use bytes::Bytes;
use domain::Fault;
use std::ops::Range;

/// Values of one body: 2,048 inputs of 8,192 tokens are more than any host takes; OpenAI's own bound is 300,000
/// tokens a request.
const MAX_VALUES: usize = 400_000;

/// A request whose bytes were checked and whose envelope was read. The bytes are those that are sent.
#[derive(Clone, Debug)]
pub struct Request {
    body: Bytes,
    model: Box<str>,
    model_at: Range<usize>,
}

impl Request {
    /// Checks the whole body strictly and reads its model.
    ///
    /// # Errors
    /// `invalid_json` or `invalid_request`, with byte offset, line, column and path.
    pub fn scan(body: Bytes) -> Result<Self, Fault> {
        match read(&body) {
            Ok((model, model_at)) => Ok(Self { model, model_at, body }),
            Err(bad) => Err(bad.into_fault(&body)),
        }
    }

    /// The bytes as they came.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The model that is asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The body with another name of the model; everything else is the same bytes.
    #[must_use]
    pub fn edit(&self, model: &str) -> Rope {
        let mut edits = Edits::new(&self.body);
        if model != self.model() {
            edits.replace(self.model_at.clone(), quoted(model));
        }
        edits.apply()
    }
}

fn read(body: &[u8]) -> Result<(Box<str>, Range<usize>), Bad> {
    let mut cursor = Cursor::new(body)?.allowing(MAX_VALUES);
    let start = cursor.at();
    let (mut model, mut input) = (None, false);
    cursor.object(|cursor, key| {
        let from = cursor.at();
        match &*key.name {
            "model" => {
                let name = cursor.string()?;
                if name.is_empty() {
                    return Err(Bad::request(from, "must name a model"));
                }
                if name.len() > MAX_MODEL_BYTES {
                    return Err(Bad::request(from, "is longer than 256 bytes"));
                }
                model = Some((name.into(), from..cursor.at()));
                Ok(())
            }
            "input" => {
                input = true;
                if !matches!(cursor.peek()?, Kind::String | Kind::Array) {
                    return Err(Bad::request(from, "must be a text, a list of texts, or a list of tokens"));
                }
                cursor.skip().map(drop)
            }
            _ => cursor.skip().map(drop),
        }
    })?;
    cursor.finish()?;
    if !input {
        return Err(Bad::request(start, "lacks `input`: a text, a list of texts, or a list of tokens"));
    }
    model.ok_or_else(|| Bad::request(start, "lacks `model`: name the model that shall answer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openai_chat::passthrough::ReplyPeek;
    use domain::{Code, Usage};

    #[test]
    fn only_the_model_is_edited() {
        for input in [r#""a""#, r#"["a","ü"]"#, "[1,2]", "[[1,2],[3]]"] {
            let body = format!(r#"{{"input": {input}, "model" : "ada", "kept": {{"x":1.50}}}}"#);
            let request = Request::scan(body.clone().into()).expect(input);
            assert_eq!(request.model(), "ada");
            assert_eq!(request.edit("ada").to_bytes(), body);
            assert_eq!(request.edit("a\"b").to_bytes(), body.replacen("\"ada\"", r#""a\"b""#, 1));
        }
    }

    #[test]
    fn many_tokens_are_no_attack_and_too_many_are() {
        let body = |tokens: usize| format!(r#"{{"model":"m","input":[{}0]}}"#, "1,".repeat(tokens));
        assert!(Request::scan(body(300_000).into()).is_ok());
        assert!(Request::scan(body(MAX_VALUES + 1).into()).is_err());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, code, says) in [
            ("{", Code::InvalidJson, "a key"),
            ("[]", Code::InvalidRequest, "object"),
            (r#"{"model":"m"}"#, Code::InvalidRequest, "input"),
            (r#"{"input":"a"}"#, Code::InvalidRequest, "model"),
            (r#"{"model":1,"input":"a"}"#, Code::InvalidRequest, "text"),
            (r#"{"model":"","input":"a"}"#, Code::InvalidRequest, "name a model"),
            (r#"{"model":"m","input":null}"#, Code::InvalidRequest, "list of texts"),
            (r#"{"model":"m","model":"n","input":"a"}"#, Code::InvalidJson, "duplicate"),
        ] {
            let fault = Request::scan(Bytes::from_static(body.as_bytes())).expect_err(body);
            assert_eq!(fault.code, code, "{body}: {fault}");
            assert!(fault.message.contains(says), "{body}: {fault}");
        }
    }

    #[test]
    fn answers_are_counted_and_errors_in_a_200_are_faults() {
        let body = br#"{"object":"list","data":[{"embedding":[0.1]},{"embedding":"AAA="}],"model":"m-1",
            "usage":{"prompt_tokens":7,"total_tokens":7}}"#;
        let peek = ReplyPeek::read_embeddings(body).expect("vectors");
        assert_eq!(peek.usage, Some(Usage::from_inclusive(7, 0, 0, 0)));
        assert_eq!((peek.model.as_deref(), peek.candidates), (Some("m-1"), 2));
        for bad in
            [&b"{}"[..], b"[]", br#"{"data":[],"error":{"message":"overloaded"}}"#, br#"{"choices":[]}"#]
        {
            assert!(ReplyPeek::read_embeddings(bad).is_err());
        }
    }
}
