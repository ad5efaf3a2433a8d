/** A provider over HTTP: asked once, within a deadline; whatever it does wrong becomes an error that names it. */
import { LakeError, messageOf } from "../../shared/errors.ts";
import { fromBase64 } from "./wire.ts";

/** More than the vectors of any one call take. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
const QUOTED_CHARS = 300;

export interface Upstream {
  readonly title: string;
  readonly url: string;
  /** Sent as a bearer token; never part of an error. */
  readonly api_key?: string;
}

/**
 * Sends JSON and reads JSON.
 * @throws LakeError invalid (it refused the texts), queue_full (its 429), unavailable (anything else)
 */
export async function post(upstream: Upstream, body: object, signal: AbortSignal): Promise<object> {
  const { title, url, api_key } = upstream;
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (api_key !== undefined) headers.authorization = `Bearer ${api_key}`;
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
      redirect: "manual",
      signal,
    });
    text = await readText(response, title);
  } catch (error) {
    if (error instanceof LakeError) throw error;
    if (signal.aborted) throw new LakeError("unavailable", `${title} gave no answer in time.`, {}, error);
    throw new LakeError("unavailable", `${title} could not be reached.`, {}, messageOf(error));
  }
  const answer = parse(text);
  if (!response.ok) throw refusal(upstream, response, answer);
  if (answer === undefined) throw new LakeError("unavailable", `${title} answered with what is no JSON.`);
  return answer;
}

async function readText(response: Response, title: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_ANSWER_BYTES)
      throw new LakeError("unavailable", `${title} answered with more than ${MAX_ANSWER_BYTES} bytes.`);
  }
  return text + decoder.decode();
}

function parse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined; // told by whoever asked, with the status
  }
}

function refusal({ title, api_key }: Upstream, response: Response, answer: unknown): LakeError {
  const { status } = response;
  if (status === 401 || status === 403)
    return new LakeError("unavailable", `${title} refuses the api_key of its entry in embedd.models.`);
  if (status === 429) {
    const wait_s = Number(response.headers.get("retry-after") ?? Number.NaN);
    return new LakeError("queue_full", `${title} takes no more texts now.`, {
      retry_after_s: Number.isFinite(wait_s) ? Math.max(1, Math.ceil(wait_s)) : 1,
    });
  }
  let said = messageIn(answer).slice(0, QUOTED_CHARS);
  if (api_key !== undefined) said = said.replaceAll(api_key, "…");
  const told = said === "" ? `${title} answered ${status}.` : `${title} answered ${status}: ${said}`;
  const is_texts_fault = status === 400 || status === 413 || status === 422;
  return new LakeError(is_texts_fault ? "invalid" : "unavailable", told);
}

/** The message of an error as Ollama, OpenAI or we ourselves word it. */
function messageIn(answer: unknown): string {
  const { error, detail, message } = (answer ?? {}) as Record<string, unknown>;
  const candidates = [error, (error as { message?: unknown } | undefined)?.message, detail, message];
  return candidates.find((it): it is string => typeof it === "string") ?? "";
}

/** Checks the vectors of a provider, whose answer is anything at first. */
export class VectorReader {
  readonly #title: string;
  /** Known from the settings, or from the first answer. */
  dimension: number | undefined;

  constructor(title: string, dimension: number | undefined) {
    this.#title = title;
    this.dimension = dimension;
  }

  /** @throws LakeError unavailable where they are not `count` vectors of numbers, all of one dimension */
  read(given: readonly unknown[] | undefined, count: number): Float32Array[] {
    if (given?.length !== count)
      throw this.#wrong(`${given?.length ?? "no"} vectors where ${count} were asked for`);
    return given.map((it) => this.check(typeof it === "string" ? fromText(it) : fromNumbers(it)));
  }

  check(vector: Float32Array | undefined): Float32Array {
    if (vector === undefined || vector.length === 0 || !vector.every(Number.isFinite))
      throw this.#wrong("a vector that is no list of numbers");
    this.dimension ??= vector.length;
    if (vector.length !== this.dimension)
      throw this.#wrong(`a vector of ${vector.length} dimensions where ${this.dimension} are expected`);
    return vector;
  }

  #wrong(what: string): LakeError {
    return new LakeError("unavailable", `${this.#title} answered with ${what}.`);
  }
}

function fromNumbers(given: unknown): Float32Array | undefined {
  if (!Array.isArray(given) || !given.every((it) => typeof it === "number")) return undefined;
  return Float32Array.from(given as number[]);
}

function fromText(text: string): Float32Array | undefined {
  return Buffer.from(text, "base64").length % 4 === 0 ? fromBase64(text) : undefined;
}
