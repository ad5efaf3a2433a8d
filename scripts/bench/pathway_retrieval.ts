/**
 * How well memory finds: each conversation is added turn by turn to a running lake over HTTP, each question is
 * asked through pathwayd's search. `bun scripts/bench/pathway_retrieval.ts --sets FOLDER [--onnx FOLDER]
 * [--hits FILE]`; FILE gets a line of JSON for each question: what was found, at what score, and what was wanted.
 */
import { rmSync } from "node:fs";
import { post } from "../../test/support/embedd.ts";
import { startProcesses } from "../../test/support/processes.ts";
import { vectorsAt } from "../../test/support/vectors.ts";
import { ENCODER, encoderSettings, option } from "./encoder.ts";
import { qualities } from "./retrieval_served.ts";
import { type Document, qualityOf, readSets, type SetFile, textOf } from "./retrieval_sets.ts";
import { printRows, type Row } from "./row.ts";

const K = 10;
const BUILT_IN_TARGET = 0.64;
const ENCODER_TARGET = 0.72;

/** How a turn becomes a trace. */
interface Telling {
  readonly name: string;
  readonly trace: (turn: Document, conversation: string) => Record<string, unknown>;
}

const IN_FULL: Telling = {
  name: "speaker as subject, session as run",
  trace: (turn, conversation) => {
    const valid_from = timeOf(turn);
    return {
      content: turn.text,
      kind: "turn",
      scope: { user_id: conversation, ...(turn.session ? { run_id: turn.session } : {}) },
      ...(turn.speaker ? { subject: turn.speaker } : {}),
      ...(valid_from ? { valid_from } : {}),
    };
  },
};
const AS_TEXT: Telling = {
  name: "speaker within the text, no runs",
  trace: (turn, conversation) => ({ content: textOf(turn), scope: { user_id: conversation } }),
};

interface Answered {
  readonly set: string;
  readonly conversation: string;
  readonly model: string;
  readonly telling: string;
  readonly question: string;
  readonly relevant: readonly string[];
  readonly recall: number;
  readonly hits: readonly { id: string | undefined; score: number; text: unknown }[];
}

interface Hit {
  readonly uid: string;
  readonly score: number;
  readonly trace: { readonly content: unknown };
}

/** No rows, and a word about it, where no folder of sets is named: they are not part of the project. */
export async function run(): Promise<Row[]> {
  const folder = option("--sets");
  if (folder === undefined) {
    console.error("pathway_retrieval: not measured; name a folder of conversations with --sets FOLDER");
    return [];
  }
  const encoder = encoderSettings();
  const rows: Row[] = [];
  const answered: Answered[] = [];
  for (const set of (await readSets(folder)).filter(({ metric }) => metric === "recall@10")) {
    const beside = await alone(set);
    const measure = async (telling: Telling, target: number, model: string, env: Record<string, string>) => {
      const found = await ask(set, telling, model, env);
      answered.push(...found);
      const recall = mean(found.map((one) => one.recall));
      rows.push({
        what: `${set.name} recall@${K} through memory, ${model} model, ${telling.name}`,
        target: `≥ ${target.toFixed(2)}`,
        measured: recall.toFixed(3),
        met: recall >= target,
        detail: `${beside}; by conversation ${byConversation(found)}`,
      });
    };
    await measure(IN_FULL, BUILT_IN_TARGET, "built-in", {});
    await measure(AS_TEXT, BUILT_IN_TARGET, "built-in", {});
    if (encoder)
      await measure(IN_FULL, ENCODER_TARGET, ENCODER, { ...encoder, LAKEHOUSE_PATHWAYD_MODEL: ENCODER });
  }
  const file = option("--hits");
  if (file !== undefined) await Bun.write(file, answered.map((one) => `${JSON.stringify(one)}\n`).join(""));
  return rows;
}

/** What the same questions find in plain indexes. */
async function alone(set: SetFile): Promise<string> {
  const lake = await startProcesses("mounted");
  try {
    const { bm25, hybrid } = await qualities(vectorsAt(lake.url), set);
    return `BM25 alone ${bm25.toFixed(3)}, vectord's hybrid with the built-in model ${hybrid.toFixed(3)}`;
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}

/** A fresh lake, all conversations of the set in it, then all questions. */
async function ask(
  set: SetFile,
  telling: Telling,
  model: string,
  env: Record<string, string>,
): Promise<Answered[]> {
  const lake = await startProcesses("mounted", env);
  const call = async <T>(path: string, body: unknown): Promise<T> => {
    const response = await post(lake, `/pathway/${path}`, body);
    if (!response.ok) throw new Error(`${path} was answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as T;
  };
  try {
    const ids = new Map<string, string>();
    const answered: Answered[] = [];
    for (const [at, { documents }] of set.parts.entries())
      for (const turn of documents) {
        const { uid } = await call<{ uid: string }>("add", telling.trace(turn, `${set.name}-${at}`));
        ids.set(uid, turn.id);
      }
    for (const [at, { queries }] of set.parts.entries())
      for (const { text: question, relevant } of queries) {
        if (relevant.length === 0) continue;
        const conversation = `${set.name}-${at}`;
        const query = { query: question, k: K, scope: { user_id: conversation } };
        const { results } = await call<{ results: Hit[] }>("search", query);
        const hits = results.map(({ uid, score, trace }) => ({
          id: ids.get(uid),
          score,
          text: trace.content,
        }));
        const found = hits.map(({ id }) => id !== undefined && relevant.includes(id));
        const recall = qualityOf(set.metric, found, relevant.length);
        const told = { set: set.name, conversation, model, telling: telling.name };
        answered.push({ ...told, question, relevant, recall, hits });
      }
    return answered;
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}

function byConversation(answered: readonly Answered[]): string {
  const names = [...new Set(answered.map(({ conversation }) => conversation))];
  const of = (name: string) => answered.filter(({ conversation }) => conversation === name);
  return names.map((name) => mean(of(name).map(({ recall }) => recall)).toFixed(3)).join(", ");
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** The time of a session in RFC 3339, taken as UTC; undefined where it names none. */
function timeOf({ at }: Document): string | undefined {
  const found = at?.match(/^(\d+):(\d+) (am|pm) on (\d+ \w+,? \d+)$/i);
  if (!found) return undefined;
  const [, hour, minute, half, day] = found;
  const day_ms = Date.parse(`${day?.replace(",", "")} UTC`);
  const hours = (Number(hour) % 12) + (half?.toLowerCase() === "pm" ? 12 : 0);
  if (Number.isNaN(day_ms)) return undefined;
  return new Date(day_ms + (hours * 60 + Number(minute)) * 60_000).toISOString();
}

if (import.meta.main) printRows(await run());
