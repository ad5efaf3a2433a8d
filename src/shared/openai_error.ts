/** What OpenAI's clients read of a problem: `error` and nothing else, so that it stands beside our own members. */
import type { Problem } from "./errors.ts";

/** The routes that OpenAI's clients call. */
const PATHS = /^(\/v1)?\/(embeddings|models(\/[^/]+)?)\/?$/;
const CODES: Record<string, string> = { not_found: "model_not_found", unauthenticated: "invalid_api_key" };

/** The problem as its reader knows it. */
export function forReaderAt(path: string, problem: Problem): Problem {
  if (!PATHS.test(path)) return problem;
  const { status, detail: message, code, errors } = problem;
  const param = errors?.[0]?.path.split("/")[1]?.replace("texts", "input");
  const type = status === 429 ? "rate_limit_error" : status < 500 ? "invalid_request_error" : "server_error";
  const error = {
    message,
    type,
    param: code === "not_found" ? "model" : (param ?? null),
    code: CODES[code] ?? code,
  };
  return { ...problem, error };
}
