/** What a write finds and can't go on from: each refusal names the trace, the operation and the state it is in. */
import { LakeError } from "../../shared/errors.ts";
import { type Kept, told, type Version } from "./trace.ts";
import type { Traces } from "./traces.ts";

/** @throws LakeError not_found */
export function found(traces: Traces, operation: string, uid: string): Kept {
  const kept = traces.get(uid);
  if (kept) return kept;
  const tombstone = traces.forgotten.get(uid);
  if (!tombstone)
    throw new LakeError("not_found", `${operation}: there is no trace ${uid}.`, { uid, operation });
  const forgotten_at = new Date(tombstone.forgotten_ms).toISOString();
  throw new LakeError("not_found", `${operation}: trace ${uid} was forgotten at ${forgotten_at}.`, {
    uid,
    operation,
    state: "forgotten",
    forgotten_at,
  });
}

/** @throws LakeError conflict */
export function refuseUnlessLive(operation: string, kept: Kept, { state, successor, at_ms }: Version): void {
  if (state === "superseded")
    throw conflict(operation, kept, `it is superseded by ${successor}`, { successor });
  if (state === "retired")
    throw conflict(
      operation,
      kept,
      `it is retired since ${new Date(at_ms).toISOString()}; unretire it first`,
    );
}

/** @throws LakeError resource_limit */
export function refuseOverfill({ size }: Traces, max_traces: number): void {
  if (size >= max_traces)
    throw new LakeError(
      "resource_limit",
      `There may be at most ${max_traces} traces (pathwayd.max_traces): forget some, or allow more.`,
    );
}

/** Carries the present trace, so that the caller can go on from it. */
export function conflict(operation: string, kept: Kept, why: string, more: object = {}): LakeError {
  const current = told(kept);
  const { uid, version, state } = current;
  return new LakeError("conflict", `${operation} of ${uid}: ${why}.`, {
    uid,
    operation,
    version,
    state,
    ...more,
    current,
  });
}
