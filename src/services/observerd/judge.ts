/** What is an operation, and what is made of it: the rules of one record, without storage. */
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { LakeError } from "../../shared/errors.ts";
import { sentenceOf } from "../../shared/faults.ts";
import { readTime } from "../../shared/time.ts";
import {
  DEFAULT_SOURCE,
  GATEWAY_SOURCE,
  type GatewayOp,
  GatewayOpSchema,
  type ObservedOp,
  ObservedOpSchema,
  type StoredOp,
} from "./schema.ts";

const observed = TypeCompiler.Compile(ObservedOpSchema);
const reported = TypeCompiler.Compile(GatewayOpSchema);

/** What a line without a timestamp gets: it happened, and nobody knows when. */
const UNKNOWN_TIME = "1970-01-01T00:00:00.000Z";

/** Fills in what was left out. The id stands first, where the journal's replay finds it soonest. */
export function complete(op: GatewayOp, id: string, timestamp: string, source: string): StoredOp {
  return { id, timestamp, source, success: op.success ?? false, ...op } as StoredOp;
}

/** @throws LakeError `invalid` where a timestamp of the right shape names a day or an hour that does not exist */
export function refuseImpossibleTime(timestamp: string): void {
  if (readTime(timestamp) === undefined)
    throw new LakeError(
      "invalid",
      `timestamp "${timestamp}" names no time; use RFC 3339, as in 2026-11-23T09:30:00.000Z.`,
    );
}

/** An operation of a batch. @throws LakeError `invalid` with what is wrong and where */
export function judge(value: unknown, by_service: boolean): ObservedOp {
  if (value instanceof LakeError) throw value;
  if (by_service && sourceOf(value) === GATEWAY_SOURCE) {
    if (!reported.Check(value)) throw fault(reported.Errors(value));
    return value as unknown as ObservedOp;
  }
  if (!observed.Check(value)) throw fault(observed.Errors(value));
  return value as ObservedOp;
}

function sourceOf(value: unknown): unknown {
  return typeof value === "object" && value !== null ? (value as { source?: unknown }).source : undefined;
}

/** The operation that an older system's journal line stands for; undefined where it is none. */
export function adopt(value: object, seq: number): StoredOp | undefined {
  if (!observed.Check(value)) return undefined;
  const { id = `legacy-${seq}`, timestamp = UNKNOWN_TIME, source = DEFAULT_SOURCE } = value as ObservedOp;
  return complete(value as ObservedOp, id, timestamp, source);
}

function fault(refused: Parameters<typeof sentenceOf>[0]): LakeError {
  return new LakeError("invalid", `The operation is not valid: ${sentenceOf(refused)}`);
}
