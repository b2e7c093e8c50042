// The Node SDKs against a running gateway: `openai` on chat, Responses and Conversations, and Vercel's `ai` with the chat and
// the Responses models of `@ai-sdk/openai`.
//
//   npm ci && node smoke.mjs
//
//   CABOTAGE_BASE_URL   default http://127.0.0.1:8080/v1
//   CABOTAGE_API_KEY    default sk-demo
//   CABOTAGE_SDK_MODELS comma-separated, default one on each kind of cloud (MODELS)
//
// Prints `N passed, N failed`; exits 1 when a case failed or none ran. A nonce in each prompt must come back, so that no fixed answer passes.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import { createOpenAI } from "@ai-sdk/openai";
import { generateText, stepCountIs, streamText, tool } from "ai";
import OpenAI from "openai";
import { z } from "zod";

const baseURL = process.env.CABOTAGE_BASE_URL ?? "http://127.0.0.1:8080/v1";
const apiKey = process.env.CABOTAGE_API_KEY ?? "sk-demo";
const MODELS = [
  "gpt-5.4@gpt-5.4/azure-westeurope",
  "claude-opus-5-5@claude-opus-5-5/anthropic",
  "claude-opus-5-5@claude-opus-5-5/bedrock-us-east-2",
  "gemini-3.8-flash@gemini-3.8-flash/vertex-europe-west4",
  "gpt-oss-120b@gpt-oss-120b/vllm-onprem",
];
const models = process.env.CABOTAGE_SDK_MODELS?.split(",").filter(Boolean) ?? MODELS;
const CASE_MS_MAX = 10_000;

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: CASE_MS_MAX });
const provider = createOpenAI({ baseURL, apiKey });
const nonce = () => `n${randomBytes(6).toString("hex")}`;
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  },
};

const weatherOfResponses = { type: "function", strict: false, ...weather.function };

const cases = {
  async "openai: chat"(model) {
    const word = nonce();
    const reply = await client.chat.completions.create({ model, messages: [{ role: "user", content: `say ${word}` }] });
    assert.ok(reply.choices[0].message.content.includes(word), reply.choices[0].message.content);
    assert.equal(reply.choices[0].finish_reason, "stop");
    assert.equal(reply.usage.total_tokens, reply.usage.prompt_tokens + reply.usage.completion_tokens);
    assert.ok(reply.usage.completion_tokens > 0);
  },

  async "openai: stream"(model) {
    const word = nonce();
    const stream = await client.chat.completions.create({
      model,
      messages: [{ role: "user", content: `say ${word}` }],
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let deltas = 0;
    let finish;
    let usage;
    for await (const chunk of stream) {
      const choice = chunk.choices[0];
      if (choice?.delta?.content) {
        text += choice.delta.content;
        deltas += 1;
      }
      finish = choice?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    assert.ok(text.includes(word), text);
    assert.ok(deltas > 1, `${deltas} deltas`);
    assert.equal(finish, "stop");
    assert.ok(usage?.completion_tokens > 0, JSON.stringify(usage));
  },

  async "openai: tools, there and back"(model) {
    const result = nonce();
    const messages = [{ role: "user", content: "call get_weather for Turin" }];
    const first = await client.chat.completions.create({ model, messages, tools: [weather] });
    assert.equal(first.choices[0].finish_reason, "tool_calls");
    const call = first.choices[0].message.tool_calls[0];
    assert.equal(call.function.name, "get_weather");
    assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
    messages.push(first.choices[0].message, { role: "tool", tool_call_id: call.id, content: result });
    const second = await client.chat.completions.create({ model, messages, tools: [weather] });
    assert.equal(second.choices[0].finish_reason, "stop");
    assert.ok(second.choices[0].message.content.includes(result), second.choices[0].message.content);
  },

  async "openai: responses, turns"(model) {
    const word = nonce();
    const first = await client.responses.create({ model, input: `say ${word}` });
    assert.ok(first.output_text.includes(word), first.output_text);
    assert.equal(first.status, "completed");
    const second = await client.responses.create({ model, input: "again", previous_response_id: first.id });
    assert.ok(second.output_text.includes("3 messages"), second.output_text);
    assert.deepEqual(await client.responses.retrieve(second.id), plain(second));
    await client.responses.delete(second.id);
    await assert.rejects(client.responses.retrieve(second.id), OpenAI.NotFoundError);
  },

  async "openai: responses, stream"(model) {
    const word = nonce();
    const stream = await client.responses.create({ model, input: `say ${word}`, stream: true });
    let text = "";
    let next = 0;
    let last;
    for await (const event of stream) {
      assert.equal(event.sequence_number, next);
      next += 1;
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event;
    }
    assert.equal(last.type, "response.completed");
    assert.ok(text.includes(word), text);
    const helped = client.responses.stream({ model, input: "again", previous_response_id: last.response.id });
    assert.ok((await helped.finalResponse()).output_text.includes("3 messages"));
  },

  async "openai: responses, background and resume"(model) {
    const word = nonce();
    const stream = await client.responses.create({ model, input: `say ${word}`, stream: true, background: true });
    let id;
    for await (const event of stream) {
      id = event.response.id;
      break;
    }
    let text = "";
    let last;
    for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: 0 })) {
      assert.equal(event.sequence_number, last === undefined ? 1 : last.sequence_number + 1);
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event;
    }
    assert.equal(last.type, "response.completed");
    assert.ok(text.includes(word), text);
  },

  async "openai: responses, tools there and back"(model) {
    const result = nonce();
    const asked = { model, tools: [weatherOfResponses] };
    const first = await client.responses.create({ ...asked, input: "call get_weather for Turin" });
    const [call] = first.output.filter((item) => item.type === "function_call");
    assert.equal(typeof JSON.parse(call.arguments).city, "string");
    const input = [{ type: "function_call_output", call_id: call.call_id, output: result }];
    const second = await client.responses.create({ ...asked, input, previous_response_id: first.id });
    assert.ok(second.output_text.includes(result), second.output_text);
  },

  async "openai: conversations"(model) {
    const said = ["user", "assistant"].map((role) => ({ type: "message", role, content: nonce() }));
    const conversation = await client.conversations.create({ items: said });
    const reply = await client.responses.create({ model, input: "again", conversation: conversation.id });
    assert.ok(reply.output_text.includes("3 messages"), reply.output_text);
    const roles = [];
    for await (const item of client.conversations.items.list(conversation.id, { order: "asc", limit: 2 })) {
      if (item.type === "message") roles.push(item.role);
    }
    assert.deepEqual(roles, ["user", "assistant", "user", "assistant"]);
    await client.conversations.delete(conversation.id);
    await assert.rejects(client.conversations.retrieve(conversation.id), OpenAI.NotFoundError);
  },

  async "ai: responses, tools in two steps"(model) {
    const result = nonce();
    const reply = streamText({
      model: provider.responses(model),
      prompt: "call get_weather for Turin",
      maxRetries: 0,
      stopWhen: stepCountIs(3),
      tools: {
        get_weather: tool({
          description: "The weather of a city",
          inputSchema: z.object({ city: z.string() }),
          execute: async () => result,
        }),
      },
    });
    let text = "";
    for await (const delta of reply.textStream) text += delta;
    assert.ok(text.includes(result), text);
    assert.equal((await reply.steps).length, 2);
  },

  async "openai: wrong key"(model) {
    const stranger = new OpenAI({ baseURL, apiKey: "sk-nobody", maxRetries: 0 });
    await assert.rejects(
      stranger.chat.completions.create({ model, messages: [{ role: "user", content: "hello" }] }),
      (error) => error instanceof OpenAI.AuthenticationError && error.code === "invalid_api_key",
    );
  },

  async "ai: generateText"(model) {
    const word = nonce();
    const reply = await generateText({ model: provider.chat(model), prompt: `say ${word}`, maxRetries: 0 });
    assert.ok(reply.text.includes(word), reply.text);
    assert.equal(reply.finishReason, "stop");
    assert.ok(reply.usage.outputTokens > 0);
  },

  async "ai: streamText"(model) {
    const word = nonce();
    let failure;
    const reply = streamText({
      model: provider.chat(model),
      prompt: `say ${word}`,
      maxRetries: 0,
      onError: ({ error }) => {
        failure = error;
      },
    });
    let text = "";
    for await (const delta of reply.textStream) text += delta;
    if (failure) throw failure;
    assert.ok(text.includes(word), text);
    assert.equal(await reply.finishReason, "stop");
  },

  async "ai: tools, two steps"(model) {
    const result = nonce();
    const seen = [];
    const reply = await generateText({
      model: provider.chat(model),
      prompt: "call get_weather for Turin",
      maxRetries: 0,
      stopWhen: stepCountIs(3),
      tools: {
        get_weather: tool({
          description: "The weather of a city",
          inputSchema: z.object({ city: z.string() }),
          execute: async ({ city }) => {
            seen.push(city);
            return result;
          },
        }),
      },
    });
    assert.equal(seen.length, 1);
    assert.equal(reply.steps.length, 2);
    assert.ok(reply.text.includes(result), reply.text);
  },
};

/** What came over the wire: without what the client adds. */
function plain(response) {
  const { _request_id, output_text, output_parsed, ...rest } = response;
  return { ...rest, output_text };
}

async function within(ms, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end after ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

let passed = 0;
let failed = 0;
for (const model of models) {
  for (const [name, run] of Object.entries(cases)) {
    try {
      await within(CASE_MS_MAX, run(model));
      passed += 1;
    } catch (error) {
      failed += 1;
      console.error(`FAILED ${name} [${model}]: ${error?.stack ?? error}`);
    }
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
