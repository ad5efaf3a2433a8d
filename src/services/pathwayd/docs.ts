/** The documentation of pathwayd's routes. */
import { describe } from "../../shared/http.ts";
import { reports } from "./report_docs.ts";
import { HistorySchema, ImportedSchema } from "./report_schema.ts";
import { FoundSchema } from "./search_schema.ts";
import { AddedSchema, EXAMPLE_UID, ForgottenSchema, TraceSchema, WrittenSchema } from "./trace_schema.ts";

const service = "pathwayd";
const UID = EXAMPLE_UID;
const SUCCESSOR = "019ab9c2-0d11-7a52-b1c7-1a4f6c7e2b90";
const TRACE = {
  uid: UID,
  version: 1,
  state: "live",
  content: "Ada prefers trains to planes",
  kind: "preference",
  tags: ["travel"],
  subject: "ada",
  scope: { user_id: "ada" },
  created_at: "2026-11-23T09:30:00.000Z",
  updated_at: "2026-11-23T09:30:00.000Z",
  outcome: { successes: 0, failures: 0, unknowns: 0 },
  replay_count: 0,
};
const ADD = {
  content: TRACE.content,
  kind: TRACE.kind,
  tags: TRACE.tags,
  subject: TRACE.subject,
  scope: TRACE.scope,
};
/** As the export writes it: brings the trace in that the other examples change. */
const LINE = {
  uid: UID,
  versions: [{ version: 1, at: TRACE.created_at, change: "added", body: ADD }],
};
const written = (description: string, more: object = {}) => ({
  description,
  schema: WrittenSchema,
  example: { ...TRACE, ...more, indexed: true },
});
const WRITE_PROBLEMS = [400, 401, 403, 404, 409, 413, 429, 503];
const READ_PROBLEMS = [400, 401, 403, 404];
const NAMED =
  " `uid` is one that an add answered; the example's is the one that the import's example brings in.";
const VERSION =
  " With `version`, the version that you have seen: where it is another by now, the answer is 409 with the present trace in `current`.";

export const documentation = {
  add: describe({
    service,
    summary: "Remember something",
    description:
      "Makes a trace. When this answers it is on the disk, and the next search finds it; `indexed: false` says that the search index could not be reached, and will be told as soon as it can.",
    example: ADD,
    answers: { 201: written("Made") },
    problems: [400, 401, 403, 413, 429, 503],
  }),
  addIdempotent: describe({
    service,
    summary: "Remember something unless it is there",
    description:
      "By `key`, or by its content, within the same scope: what is there is told as it is, and its `replay_count` grows. With `similar_above`, live traces of the scope that are at least so near in meaning are told in `similar` instead of storing another.",
    example: { ...ADD, key: "ada-travel" },
    answers: {
      200: {
        description: "It was there, or one like it",
        schema: AddedSchema,
        example: { ...TRACE, replay_count: 1, indexed: true, created: false },
      },
      201: { description: "Made", schema: AddedSchema, example: { ...TRACE, indexed: true, created: true } },
    },
    problems: [400, 401, 403, 413, 429, 503],
  }),
  update: describe({
    service,
    summary: "Change a trace in place",
    description: `What is absent stays; null takes kind, subject or a time away. Every earlier version is kept.${VERSION}${NAMED}`,
    example: { uid: UID, tags: ["travel", "green"] },
    answers: { 200: written("Changed", { version: 2, tags: ["travel", "green"] }) },
    problems: WRITE_PROBLEMS,
  }),
  revise: describe({
    service,
    summary: "Put a successor in a trace's place",
    description: `Answers with the successor; the predecessor is superseded. It has the predecessor's scope, and its kind, tags and subject where they are absent; times, source and op_ids are its own. A trace has one successor at most: a second is 409 naming the first.${VERSION}${NAMED}`,
    example: { uid: UID, content: "Ada takes planes when a train needs more than a day" },
    answers: {
      201: written("Made", {
        uid: SUCCESSOR,
        content: "Ada takes planes when a train needs more than a day",
        predecessor: UID,
      }),
    },
    problems: WRITE_PROBLEMS,
  }),
  retire: describe({
    service,
    summary: "Take a trace out of search",
    description: `With a reason; it can be undone. A retired trace can't be retired: that is 409.${VERSION}${NAMED}`,
    example: { uid: UID, reason: "she moved to an island" },
    answers: {
      200: written("Retired", { version: 2, state: "retired", retired_reason: "she moved to an island" }),
    },
    problems: WRITE_PROBLEMS,
  }),
  unretire: describe({
    service,
    summary: "Bring a retired trace back",
    description: `What is not retired can't be brought back: that is 409.${VERSION}${NAMED}`,
    example: { uid: UID },
    answers: { 200: written("Back", { version: 3 }) },
    problems: WRITE_PROBLEMS,
  }),
  outcome: describe({
    service,
    summary: "Record that a trace was used, and how that ended",
    description: `\`result\` is success, failure or unknown. Makes no new version.${VERSION}${NAMED}`,
    example: { uid: UID, result: "success", score: 0.9 },
    answers: {
      200: written("Recorded", {
        outcome: { result: "success", score: 0.9, successes: 1, failures: 0, unknowns: 0 },
      }),
    },
    problems: WRITE_PROBLEMS,
  }),
  forget: describe({
    service,
    summary: "Erase a trace's content for good",
    description: `From the journal's files, the index's files and every export to come; a tombstone without content stays. Only this trace: the others of its chain are forgotten one by one. \`pending\` names where the content still lies because that can't be reached; it is erased as soon as it can be.${NAMED}`,
    example: { uid: UID },
    answers: {
      200: {
        description: "Forgotten",
        schema: ForgottenSchema,
        example: { uid: UID, forgotten_at: "2026-11-23T10:00:00.000Z", pending: [] },
      },
    },
    problems: WRITE_PROBLEMS,
  }),
  search: describe({
    service,
    summary: "Search memory",
    description:
      "Best first: words and meaning fused, then recency, outcomes and replays as small factors (docs/memory.md). Without `query`, newest first. Only live traces that hold now; with `as_of`, what was valid and known at that moment.",
    example: { query: "how does Ada like to travel?", scope: { user_id: "ada" }, k: 5, explain: true },
    answers: {
      200: {
        description: "Found",
        schema: FoundSchema,
        example: {
          results: [
            {
              uid: UID,
              score: 1.31,
              trace: TRACE,
              explain: {
                relevance: { rank: 1, score: 1.25 },
                hybrid: { rank: 1, score: 1.15 },
                bm25: { rank: 1, score: 4.2 },
                vector: { rank: 1, score: 0.62 },
                soft: { score: 0.41 },
                neighbours: 0,
                asks: 0,
                subject: 0.1,
                recency: { factor: 1.05, value: 0 },
                outcome: { factor: 1, value: 0 },
                replay: { factor: 1, value: 0 },
              },
            },
          ],
          elapsed_ms: 3.2,
        },
      },
    },
    problems: [400, 401, 403, 413, 429, 503],
  }),
  get: describe({
    service,
    summary: "Read a trace as it is now",
    description: "Whatever its state. A forgotten one is 404, saying since when.",
    answers: { 200: { description: "The trace", schema: TraceSchema, example: TRACE } },
    problems: READ_PROBLEMS,
  }),
  history: describe({
    service,
    summary: "Tell a trace's whole history",
    description:
      "The chain that it belongs to, every version of each, and what changed from one to the next.",
    answers: {
      200: {
        description: "The history",
        schema: HistorySchema,
        example: {
          uid: UID,
          chain: [TRACE],
          versions: [
            {
              uid: UID,
              version: 1,
              at: TRACE.created_at,
              change: "added",
              differences: [{ member: "content", after: TRACE.content }],
            },
          ],
          forgotten: [],
        },
      },
    },
    problems: READ_PROBLEMS,
  }),
  import: {
    ...describe({
      service,
      summary: "Take in traces with their histories",
      description:
        "NDJSON as the export writes it. Each line is judged on its own; a trace that is there stays as it is, and one that was forgotten here stays forgotten.",
      example: `${JSON.stringify(LINE)}\n`,
      answers: {
        200: {
          description: "Judged",
          schema: ImportedSchema,
          example: { imported: 1, existing: 0, rejected: 0, errors: [], indexed: true },
        },
      },
      problems: [400, 401, 403, 413, 503],
    }),
    requestBody: {
      required: true,
      content: { "application/x-ndjson": { schema: { type: "string" as const } } },
    },
  },
  export: describe({
    service,
    summary: "Write out every trace with its history",
    description: "NDJSON, a line for each trace; nothing of what was forgotten.",
    answers: {
      200: {
        description: "The traces",
        content_type: "application/x-ndjson",
        example: `${JSON.stringify(LINE)}\n`,
      },
    },
    problems: [401, 403],
  }),
  ...reports,
};
