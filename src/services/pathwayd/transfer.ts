/** Traces with their histories as lines of JSON: how they leave, and what of them may come back. */
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { t } from "elysia";
import { parseJson } from "../../shared/depth.ts";
import { LakeError } from "../../shared/errors.ts";
import { sentenceOf } from "../../shared/faults.ts";
import { oneOf } from "../../shared/one_of.ts";
import { readTime } from "../../shared/time.ts";
import { lineOf } from "./history.ts";
import { bodyOf, type Limits } from "./judge.ts";
import type { HistoryLine } from "./records.ts";
import { AddBody, CHANGES, Key, RESULTS, Reason, Score, Time, Uid } from "./trace_schema.ts";
import type { Traces } from "./traces.ts";

/** Lines written into the stream at a time. */
const LINES_AT_ONCE = 200;

/** Uses that one line tells, and what one of them stands for: far more than an export writes, and their sum is exact. */
const MAX_USES = 1000;
const MAX_COUNT = 1_000_000_000_000;

const { outcome: _outcome, ...body } = AddBody.properties;
const Line = TypeCompiler.Compile(
  t.Object(
    {
      uid: Uid,
      key: t.Optional(Key),
      predecessor: t.Optional(Uid),
      versions: t.Array(
        t.Object(
          {
            version: t.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
            at: Time("when it came to be known"),
            change: oneOf(CHANGES, "what made it"),
            body: t.Optional(t.Object(body, { additionalProperties: false })),
            successor: t.Optional(Uid),
            reason: Reason,
          },
          { additionalProperties: false },
        ),
        { minItems: 1 },
      ),
      uses: t.Optional(
        t.Array(
          t.Object(
            {
              at: Time("when it was used"),
              result: t.Optional(oneOf(RESULTS, "how that ended; absent for a replay")),
              score: Score,
              count: t.Optional(t.Integer({ minimum: 1, maximum: MAX_COUNT })),
            },
            { additionalProperties: false },
          ),
          { maxItems: MAX_USES },
        ),
      ),
    },
    { additionalProperties: false },
  ),
);

/** Every trace that is there when it begins, in the order of creation where nothing was imported. */
export function exportLines(traces: Traces): ReadableStream<Uint8Array> {
  const uids = [...traces.all()].map((it) => it.uid);
  const encoder = new TextEncoder();
  let at = 0;
  return new ReadableStream({
    pull: (controller) => {
      const some = uids.slice(at, at + LINES_AT_ONCE).flatMap((uid) => traces.get(uid) ?? []);
      at += LINES_AT_ONCE;
      if (some.length > 0)
        controller.enqueue(encoder.encode(some.map((it) => `${JSON.stringify(lineOf(it))}\n`).join("")));
      if (at >= uids.length) controller.close();
    },
  });
}

/** The line's trace. @throws LakeError invalid, saying why */
export function readLine(text: string, limits: Limits & { max_versions: number }): HistoryLine {
  const line = parseJson(text, "it");
  if (!Line.Check(line)) {
    const why = sentenceOf(Line.Errors(line));
    throw new LakeError("invalid", `it is no trace as an export writes it: ${why}`);
  }
  // The last update may still be followed by what ends the trace.
  if ((line.versions.at(-1)?.version ?? 0) > limits.max_versions + 1)
    throw new LakeError(
      "invalid",
      `it has more than ${limits.max_versions} versions (pathwayd.max_versions).`,
    );
  const versions = line.versions.map((it) => ({
    ...it,
    at: inOneForm(it.at, `version ${it.version}`),
    ...(it.body ? { body: bodyOf(it.body, limits) } : {}),
  }));
  const { predecessor, uses, ...rest } = line as HistoryLine;
  const read: HistoryLine = {
    ...rest,
    ...(predecessor === undefined ? {} : { predecessor }),
    versions,
    ...(uses ? { uses: uses.map((it) => ({ ...it, at: inOneForm(it.at, "a use") })) } : {}),
  } as HistoryLine;
  refuseIncoherent(read);
  return read;
}

/** @throws LakeError invalid */
function inOneForm(time: string, what: string): string {
  const at_ms = readTime(time);
  if (at_ms === undefined) throw new LakeError("invalid", `${what} is of "${time}", which names no time.`);
  return new Date(at_ms).toISOString();
}

const FIRST = ["added", "revised"];
/** Which changes may follow which. */
const NEXT: Record<string, string[]> = {
  live: ["updated", "superseded", "retired"],
  retired: ["unretired"],
  superseded: [],
};

function refuseIncoherent({ predecessor, versions }: HistoryLine): void {
  const first = versions[0] as HistoryLine["versions"][number];
  const refuse = (why: string) => {
    throw new LakeError("invalid", `its history does not hold together: ${why}.`);
  };
  if (!FIRST.includes(first.change) || first.body === undefined)
    refuse(`version ${first.version} must be "added" or "revised", with a body`);
  if ((first.change === "revised") !== (predecessor !== undefined))
    refuse('a predecessor goes with a first version that is "revised"');
  const scope = JSON.stringify(first.body?.scope ?? {});
  let state = "live";
  for (const [at, it] of versions.entries()) {
    const before = versions[at - 1];
    if (!before) continue;
    if (it.version <= before.version || it.at < before.at)
      refuse(`version ${it.version} comes after ${before.version}`);
    if (!NEXT[state]?.includes(it.change))
      refuse(`version ${it.version} is "${it.change}" of a ${state} trace`);
    if ((it.change === "superseded") !== (it.successor !== undefined))
      refuse('a successor goes with a version that is "superseded"');
    if (it.body && JSON.stringify(it.body.scope ?? {}) !== scope) refuse("its scope changes");
    state = it.change === "superseded" ? "superseded" : it.change === "retired" ? "retired" : "live";
  }
}
