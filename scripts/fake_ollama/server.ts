/** Ollama's HTTP API by a stand-in: same routes and shapes, no model; and a script of failures at /fake/failures. */
import type { Server } from "bun";
import { type Failure, FailureScript } from "./failures.ts";
import {
  asTag,
  CREATED_AT,
  type FakeModel,
  findModel,
  MODELS,
  normalized,
  reply,
  vectorOf,
  wordsOf,
} from "./models.ts";

const VERSION = "0.12.0";
const MAX_BODY_BYTES = 64 * 1024 * 1024;
const REQUESTS_KEPT = 1000;
/** Nanoseconds, as Ollama tells durations; made up, and always the same. */
const DURATIONS = { total_duration: 14_000_000, load_duration: 1_000_000 };

export interface FakeOllama {
  readonly url: string;
  /** The newest requests, the oldest first. */
  readonly requests: readonly { path: string; body: Record<string, unknown> }[];
  script(failures: readonly Failure[]): void;
  stop(): Promise<void>;
}

/** An error as Ollama answers it. */
class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

type Body = Record<string, unknown>;
type Answer = { json: object } | { lines: object[] };
type Handler = (body: Body, failure: Failure | undefined) => Answer;

const POSTS: Record<string, Handler> = {
  "/api/embed": embed,
  "/api/embeddings": embeddings,
  "/api/generate": generate,
  "/api/chat": chat,
};

export function startFakeOllama({ port = 0, hostname = "127.0.0.1" } = {}): FakeOllama {
  const failures = new FailureScript();
  const requests: { path: string; body: Body }[] = [];
  const stopping = new AbortController();

  async function answer(request: Request): Promise<Response> {
    const { pathname: path } = new URL(request.url);
    const read = READS[path];
    if (read && (request.method === "GET" || request.method === "HEAD")) return read();
    if (path === "/fake/failures" && request.method === "PUT") {
      failures.set((await request.json()) as Failure[]);
      return new Response(null, { status: 204 });
    }
    const handle = POSTS[path];
    if (!handle || request.method !== "POST") return new Response("404 page not found", { status: 404 });
    const body = await readBody(request);
    requests.push({ path, body });
    if (requests.length > REQUESTS_KEPT) requests.shift();
    const failure = failures.take(path);
    if (failure?.latency_ms) await pause(failure.latency_ms, stopping.signal);
    if (failure?.status) throw new Refusal(failure.status, "scripted failure");
    return written(handle(body, failure), failure?.truncate ?? false);
  }

  const server: Server<undefined> = Bun.serve({
    port,
    hostname,
    maxRequestBodySize: MAX_BODY_BYTES,
    idleTimeout: 255,
    fetch: (request) =>
      answer(request).catch((error: Error) =>
        Response.json({ error: error.message }, { status: error instanceof Refusal ? error.status : 400 }),
      ),
  });
  return {
    url: `http://${hostname}:${server.port}`,
    requests,
    script: (given) => failures.set(given),
    stop: () => {
      stopping.abort();
      return server.stop(true);
    },
  };
}

const READS: Record<string, () => Response> = {
  "/": () => new Response("Ollama is running"),
  "/api/version": () => Response.json({ version: VERSION }),
  "/api/tags": () => Response.json({ models: MODELS.map(asTag) }),
};

async function readBody(request: Request): Promise<Body> {
  const text = await request.text();
  if (text === "") throw new Refusal(400, "missing request body");
  try {
    return JSON.parse(text) as Body;
  } catch (error) {
    throw new Refusal(400, (error as Error).message);
  }
}

async function pause(latency_ms: number, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, latency_ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function written(answer: Answer, truncate: boolean): Response {
  const is_stream = "lines" in answer;
  const parts = is_stream
    ? answer.lines.map((line) => `${JSON.stringify(line)}\n`)
    : [JSON.stringify(answer.json)];
  const content_type = is_stream ? "application/x-ndjson" : "application/json; charset=utf-8";
  const headers = { "content-type": content_type };
  if (truncate) return new Response(broken(parts.join("")), { headers });
  if (!is_stream) return new Response(parts[0], { headers });
  const encoder = new TextEncoder();
  let next = 0;
  const body = new ReadableStream({
    pull(controller) {
      if (next === parts.length) controller.close();
      else controller.enqueue(encoder.encode(parts[next++]));
    },
  });
  return new Response(body, { headers });
}

/** The first half, and then the connection is reset. */
function broken(text: string): ReadableStream<Uint8Array> {
  let is_begun = false;
  return new ReadableStream(
    {
      async pull(controller) {
        if (is_begun) return controller.error(undefined);
        is_begun = true;
        controller.enqueue(new TextEncoder().encode(text.slice(0, text.length / 2)));
        await Bun.sleep(1);
      },
    },
    { highWaterMark: 0 },
  );
}

function modelOf({ model }: Body): FakeModel {
  if (typeof model !== "string" || model === "") throw new Refusal(400, "model is required");
  const found = findModel(model);
  if (!found) throw new Refusal(404, `model "${model}" not found, try pulling it first`);
  return found;
}

function embed(body: Body, failure: Failure | undefined): Answer {
  const model = modelOf(body);
  const { input, truncate = true, dimensions } = body;
  const texts = typeof input === "string" ? (input === "" ? [] : [input]) : input;
  if (!Array.isArray(texts) || texts.some((it) => typeof it !== "string"))
    throw new Refusal(400, "invalid input type");
  const words = (texts as string[]).map(wordsOf);
  if (truncate === false && words.some(({ length }) => length > model.context))
    throw new Refusal(400, "the input length exceeds the context length");
  const read = words.map((it) => it.slice(0, model.context));
  const dimension = failure?.dimension ?? model.dimension;
  const whole = read.map((it) => vectorOf(it, dimension));
  const vectors =
    typeof dimensions === "number" ? whole.map((it) => normalized(it.slice(0, dimensions))) : whole;
  const prompt_eval_count = read.reduce((sum, { length }) => sum + length, 0);
  return { json: { model: body.model, embeddings: vectors, ...DURATIONS, prompt_eval_count } };
}

function embeddings(body: Body, failure: Failure | undefined): Answer {
  const { dimension, context } = modelOf(body);
  const words = wordsOf(String(body.prompt ?? ""));
  if (words.length === 0) return { json: { embedding: [] } };
  return { json: { embedding: vectorOf(words.slice(0, context), failure?.dimension ?? dimension) } };
}

function generate(body: Body): Answer {
  const prompt = String(body.prompt ?? "");
  return speak(body, "generate", prompt, (response, is_last) => ({
    response,
    ...(is_last ? { context: wordsOf(prompt).map((_, at) => at) } : {}),
  }));
}

function chat(body: Body): Answer {
  const messages = (body.messages ?? []) as { role: string; content: string }[];
  const asked = messages.findLast(({ role }) => role === "user")?.content ?? "";
  return speak(body, "chat", asked, (content) => ({ message: { role: "assistant", content } }));
}

/** The answer to a prompt: word by word and a last line that sums up, or all at once. */
function speak(
  body: Body,
  what: "generate" | "chat",
  prompt: string,
  shape: (text: string, is_last: boolean) => object,
): Answer {
  const { can_chat } = modelOf(body);
  if (!can_chat) throw new Refusal(400, `"${body.model}" does not support ${what}`);
  const head = { model: body.model, created_at: CREATED_AT };
  if (prompt === "") {
    const loaded = { ...head, ...shape("", false), done: true, done_reason: "load" };
    return body.stream === false ? { json: loaded } : { lines: [loaded] };
  }
  const all = reply(prompt);
  const limit = (body.options as { num_predict?: number } | undefined)?.num_predict ?? all.length;
  const said = limit >= 0 ? all.slice(0, limit) : all;
  const end = {
    done: true,
    done_reason: said.length < all.length ? "length" : "stop",
    ...DURATIONS,
    prompt_eval_count: wordsOf(prompt).length,
    prompt_eval_duration: 3_000_000,
    eval_count: said.length,
    eval_duration: 10_000_000,
  };
  if (body.stream === false) return { json: { ...head, ...shape(said.join(""), true), ...end } };
  const lines = said.map((piece) => ({ ...head, ...shape(piece, false), done: false }));
  return { lines: [...lines, { ...head, ...shape("", true), ...end }] };
}
