/**
 * How long a search over five corpora of 20,000 texts takes, beside the same search over each alone, single runtime; and
 * what happens when one corpus's process stops answering, or dies. The texts are made, or read with `--texts FILE`
 * (a line of `{"text": …}` each); `--items N` sets how many each corpus has.
 */
import { rmSync } from "node:fs";
import type { MatrixFound } from "../../src/services/matrixd/schema.ts";
import { matrixAt } from "../../test/support/matrix.ts";
import { type RunningProcesses, startProcesses } from "../../test/support/processes.ts";
import { seeded, settled, vectorsAt } from "../../test/support/vectors.ts";
import { median, printRows, type Row } from "./row.ts";

const CORPORA = 5;
const ITEMS = Number(option("--items") ?? 20_000);
const BATCH = 2000;
const QUERIES = 300;
const WARM_UP = 30;
const WORDS = 30_000;
const SENTENCE_WORDS = 14;
const QUERY_WORDS = 7;
const TIMEOUT_MS = 500;
const OUTAGE_SEARCHES = 40;
/** Past the deadline, for the answer to be written, sent and read. */
const GRACE_MS = 100;
const NAMES = Array.from({ length: CORPORA }, (_, at) => `corpus-${at}`);

export async function run(): Promise<Row[]> {
  const { texts, queries } = await given();
  return [...(await latency(texts, queries)), ...(await outages(texts.slice(0, BATCH), queries))];
}

async function latency(texts: readonly string[], queries: readonly string[]): Promise<Row[]> {
  const lake = await startProcesses("mounted");
  try {
    const calls = matrixAt(lake.url);
    for (const [at, name] of NAMES.entries())
      await load(lake.url, name, texts.slice(at * ITEMS, (at + 1) * ITEMS));
    for (const name of NAMES) await settled(vectorsAt(lake.url), name);
    const all: number[] = [];
    const alone: number[][] = NAMES.map(() => []);
    const raw: number[] = [];
    // One after another, each query all ways: what disturbs one disturbs the others.
    for (const [at, query] of queries.entries()) {
      const one = at % CORPORA;
      const took = {
        all: await timed(() => calls.search({ query })),
        alone: await timed(() => calls.search({ query, corpora: [NAMES[one] as string] })),
        raw: await timed(() => calls.search({ query, rerank: false, playbooks: false })),
      };
      if (at < WARM_UP) continue;
      all.push(took.all);
      alone[one]?.push(took.alone);
      raw.push(took.raw);
    }
    const singles = alone.map(median);
    const ratio = median(all) / Math.max(...singles);
    return [
      {
        what: `p50 of a search over ${CORPORA} corpora of ${ITEMS}`,
        target: "≤ 1.5 × the slowest of them alone",
        measured: `${ratio.toFixed(2)} × (${median(all).toFixed(1)} ms to ${Math.max(...singles).toFixed(1)} ms)`,
        met: ratio <= 1.5,
        detail: `alone: ${singles.map((it) => it.toFixed(1)).join(", ")} ms; all without rerank and playbooks ${median(raw).toFixed(1)} ms`,
      },
    ];
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}

/** Memory runs in a process of its own: it is stopped, so that it hangs, and then killed. */
async function outages(texts: readonly string[], queries: readonly string[]): Promise<Row[]> {
  const lake = await startProcesses("forwarded");
  try {
    const calls = matrixAt(lake.url);
    await load(lake.url, "notes", texts);
    await post(`${lake.url}/v1/pathway/add`, { content: texts[0] });
    await calls.send("POST", "/corpora", { name: "memory", kind: "pathway" });
    await calls.search({ query: queries[0] as string });
    const pid = lake.pids.pathwayd;
    if (pid === undefined) throw new Error("pathwayd does not run");
    process.kill(pid, "SIGSTOP");
    const hung = await through(lake, queries);
    process.kill(pid, "SIGCONT");
    await lake.kill("pathwayd", "SIGKILL");
    const dead = await through(lake, queries);
    return [row("hangs", hung), row("was killed", dead)];
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}

interface Outage {
  readonly slowest_ms: number;
  readonly median_ms: number;
  readonly answered: number;
  readonly codes: string[];
}

async function through(lake: RunningProcesses, queries: readonly string[]): Promise<Outage> {
  const calls = matrixAt(lake.url);
  const times: number[] = [];
  const codes = new Set<string>();
  let answered = 0;
  for (const query of queries.slice(0, OUTAGE_SEARCHES)) {
    let found: MatrixFound | undefined;
    times.push(
      await timed(async () => {
        found = await calls.search({ query, timeout_ms: TIMEOUT_MS });
      }),
    );
    if (found?.results.some(({ corpus }) => corpus === "notes")) answered++;
    for (const { code } of found?.warnings ?? []) codes.add(code);
  }
  return { slowest_ms: Math.max(...times), median_ms: median(times), answered, codes: [...codes] };
}

function row(what: string, { slowest_ms, median_ms, answered, codes }: Outage): Row {
  return {
    what: `one corpus ${what}: answers from the other within timeout_ms = ${TIMEOUT_MS}`,
    target: `${OUTAGE_SEARCHES} of ${OUTAGE_SEARCHES}, the slowest ≤ ${TIMEOUT_MS + GRACE_MS} ms`,
    measured: `${answered}, the slowest ${slowest_ms.toFixed(0)} ms`,
    met: answered === OUTAGE_SEARCHES && slowest_ms <= TIMEOUT_MS + GRACE_MS,
    detail: `median ${median_ms.toFixed(0)} ms; warnings: ${codes.join(", ")}`,
  };
}

async function load(url: string, name: string, texts: readonly string[]): Promise<void> {
  const calls = matrixAt(url);
  const items = texts.map((text, at) => ({ id: `${at}`, text, metadata: { at } }));
  await calls.fill(name, items.slice(0, BATCH));
  for (let from = BATCH; from < items.length; from += BATCH)
    await calls.add(name, items.slice(from, from + BATCH));
}

/** Distinct texts for the corpora, and queries of a few words of other texts. */
async function given(): Promise<{ texts: string[]; queries: string[] }> {
  const wanted = CORPORA * ITEMS + QUERIES;
  const file = option("--texts");
  const all = file === undefined ? made(wanted) : linesOf(await Bun.file(file).text());
  if (all.length < wanted) throw new Error(`${wanted} texts are needed (got ${all.length})`);
  const queries = all
    .slice(CORPORA * ITEMS, wanted)
    .map((text) => text.split(/\s+/).slice(0, QUERY_WORDS).join(" "));
  return { texts: all.slice(0, CORPORA * ITEMS), queries };
}

function linesOf(ndjson: string): string[] {
  const lines = ndjson.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => (JSON.parse(line) as { text: string }).text);
}

/** Words by Zipf's law, as in any language: a few are in most texts. */
function made(count: number): string[] {
  const random = seeded(3);
  const word = () => `w${Math.floor(WORDS ** random())}`;
  return Array.from({ length: count }, () => Array.from({ length: SENTENCE_WORDS }, word).join(" "));
}

async function post(url: string, body: unknown): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from_ms = performance.now();
  await work();
  return performance.now() - from_ms;
}

function option(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

if (import.meta.main) printRows(await run());
