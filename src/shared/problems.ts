/** Problem documents on the wire (RFC 9457): of our own errors, and of those the framework makes. */
import { LakeError, messageOf, toProblem } from "./errors.ts";
import { faultsOf, mostTelling } from "./faults.ts";
import type { Log } from "./log.ts";
import { forReaderAt } from "./openai_error.ts";

export const PROBLEM_JSON = "application/problem+json";

/**
 * The answer to a failed request; what the client may not see of it goes to the log.
 * @param path of the request, since some are called by clients that read problems otherwise
 */
export function problemResponse(error: unknown, request_id: string, log: Log, path = ""): Response {
  const problem = forReaderAt(path, toProblem(error, request_id));
  if (problem.status >= 500) {
    const err = {
      message: messageOf(error),
      stack: problem.code === "internal" ? (error as Error)?.stack : undefined,
      cause: causes(error),
    };
    if (problem.code === "internal") log.error({ request_id, err }, "request failed");
    else log.warn({ request_id, err }, "request failed");
  }
  const { retry_after_s, allow, content_range } = error instanceof LakeError ? error.details : {};
  const headers: Record<string, string> = { "content-type": PROBLEM_JSON, "x-request-id": request_id };
  if (retry_after_s !== undefined) headers["retry-after"] = String(retry_after_s);
  if (allow !== undefined) headers.allow = allow.join(", ");
  if (content_range !== undefined) headers["content-range"] = content_range;
  if (problem.status === 401) headers["www-authenticate"] = "Bearer";
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

/** Elysia's own errors, in our words; never its messages, which echo bodies. */
export function translate(error: unknown, code: string | number, request: Request): unknown {
  if (error instanceof LakeError) return error;
  if (code === "NOT_FOUND")
    return new LakeError(
      "not_found",
      `There is no route ${request.method} ${new URL(request.url).pathname}.`,
    );
  if (code === "PARSE") {
    const { cause } = error as Error;
    if (cause instanceof LakeError) return cause;
    if (cause instanceof SyntaxError)
      return new LakeError("invalid", `The body is not valid JSON: ${messageOf(cause)}`);
    return new LakeError("invalid", "The body could not be read as its Content-Type says.");
  }
  if (code === "VALIDATION") {
    const faults = faultsOf(error, request.url);
    const content_type = request.headers.get("content-type");
    if ((error as { type?: string }).type === "body" && !content_type?.startsWith("application/json"))
      return new LakeError(
        "invalid",
        `Send the body with Content-Type: application/json (got ${content_type ?? "none"}).`,
        { errors: faults },
      );
    return new LakeError("invalid", `The request is not valid: ${mostTelling(faults)}`, { errors: faults });
  }
  return error;
}

function causes(error: unknown): string[] {
  const chain: string[] = [];
  for (
    let cause = (error as Error)?.cause;
    cause !== undefined && chain.length < 8;
    cause = (cause as Error)?.cause
  )
    chain.push(messageOf(cause));
  return chain;
}
