/**
 * The one error type of the domain, and the one table between its codes and HTTP statuses.
 * Domain code throws `LakeError`; only the edge (http.ts) and the clients (client.ts) know statuses.
 */

const STATUS = {
  invalid: 400,
  sql_refused: 400,
  resource_limit: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  conflict: 409,
  precondition_failed: 412,
  too_large: 413,
  range_not_satisfiable: 416,
  queue_full: 429,
  internal: 500,
  unreachable: 502,
  unavailable: 503,
  deadline: 504,
} as const;

const TITLE: Record<ErrorCode, string> = {
  invalid: "The request is not valid",
  sql_refused: "The SQL was refused",
  resource_limit: "A resource limit was reached",
  unauthenticated: "A key is needed",
  forbidden: "The key does not allow this",
  not_found: "Not found",
  method_not_allowed: "Method not allowed",
  conflict: "Conflict with the present state",
  precondition_failed: "A precondition failed",
  too_large: "The body is too large",
  range_not_satisfiable: "The range lies outside the object",
  queue_full: "The queue is full",
  internal: "Internal error",
  unreachable: "The service could not be reached",
  unavailable: "The service is not available",
  deadline: "The deadline passed",
};

export type ErrorCode = keyof typeof STATUS;

/** One fault in a refused body: a JSON pointer-like path and what is wrong there. */
export interface Fault {
  path: string;
  message: string;
}

export interface ErrorDetails {
  /** Faults of a refused body, answered as `errors`. */
  errors?: Fault[];
  /** Seconds to wait before a retry, answered as `Retry-After`. */
  retry_after_s?: number;
  /** The methods a route does serve, answered as `Allow`. */
  allow?: string[];
  /** The size that a range missed (`bytes *` and a slash before it), answered as `Content-Range`. */
  content_range?: string;
  /** Further members of the problem document, such as a drift's difference. */
  [member: string]: unknown;
}

export class LakeError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "LakeError";
    this.code = code;
    this.details = details;
  }
}

/** An RFC 9457 problem document. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ErrorCode;
  request_id: string;
  errors?: Fault[];
  [member: string]: unknown;
}

export function statusOf(code: ErrorCode): number {
  return STATUS[code];
}

export function titleOf(code: ErrorCode): string {
  return TITLE[code];
}

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(STATUS, value);
}

/** The code an upstream's answer stands for, where it carried none of ours. */
export function codeOf(status: number): ErrorCode {
  for (const code of Object.keys(STATUS) as ErrorCode[]) if (STATUS[code] === status) return code;
  return status >= 500 ? "internal" : "invalid";
}

/** The problem document of any error; an unknown error tells the client nothing but that it happened. */
export function toProblem(error: unknown, request_id: string): Problem {
  const known = error instanceof LakeError && error.code !== "internal" ? error : undefined;
  const code = known?.code ?? "internal";
  const { retry_after_s: _retry, allow: _allow, content_range: _range, ...members } = known?.details ?? {};
  const problem = {
    type: `urn:lakehouse:problem:${code}`,
    title: TITLE[code],
    status: STATUS[code],
    detail: known?.message ?? "Internal error",
    code,
    request_id,
  };
  // Once more at the end, since no further member may take their place; read first, since those may be long.
  return { ...problem, ...members, ...problem };
}

/** The error a problem document stands for: the inverse of `toProblem`, for clients. */
export function fromProblem(problem: unknown, status: number, fallback: string): LakeError {
  if (typeof problem !== "object" || problem === null) return new LakeError(codeOf(status), fallback);
  const { type: _t, title: _ti, status: _s, request_id: _r, code, detail, ...members } = problem as Problem;
  return new LakeError(
    isErrorCode(code) ? code : codeOf(status),
    typeof detail === "string" ? detail : fallback,
    members,
  );
}

/** The message of whatever was thrown, for logs. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An answer, or undefined where what was asked for is not there. */
export async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof LakeError && error.code === "not_found") return undefined;
    throw error;
  }
}
