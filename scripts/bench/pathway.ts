/**
 * pathwayd over HTTP, single runtime: acknowledged adds, searches and the start, with many traces stored. The traces come
 * by import. `--texts FILE` takes texts from NDJSON (`{"text": …}` a line), else they are made; `--traces N` sets how many.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { pathwayAt } from "../../test/support/pathway.ts";
import { startProcesses } from "../../test/support/processes.ts";
import { seeded } from "../../test/support/vectors.ts";
import { printRows, type Row } from "./row.ts";

const LINES = 5000;
const USERS = 50;
const ADDS = 1000;
const RATE_SECONDS = 10;
const ADDS_A_SECOND = 200;
const SEARCHES = 500;

const option = (name: string) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? undefined : process.argv[at + 1];
};
const TRACES = Number(option("traces") ?? 100_000);

export async function run(): Promise<Row[]> {
  const texts = textsOf(option("texts"), TRACES + ADDS + RATE_SECONDS * ADDS_A_SECOND);
  const lake = await startProcesses("mounted");
  const calls = pathwayAt(lake.url);
  try {
    const from_ms = performance.now();
    for (let at = 0; at < TRACES; at += LINES) {
      const { imported, indexed } = await calls.import(
        linesOf(texts.slice(at, Math.min(at + LINES, TRACES)), at),
      );
      if (imported === 0 || !indexed) throw new Error(`an import was not taken in (${imported}, ${indexed})`);
    }
    const loaded = (1000 * TRACES) / (performance.now() - from_ms);
    await quiet(lake.url);
    const more = texts.slice(TRACES);
    const adds = await addOneByOne(calls, more.slice(0, ADDS));
    const sustained = await addAtRate(calls, more.slice(ADDS));
    await quiet(lake.url);
    const within = await search(calls, texts, (user) => ({ scope: { user_id: `user ${user}` } }));
    const everywhere = await search(calls, texts, () => ({}));
    const stop_ms = performance.now();
    await lake.kill("all");
    const start_ms = performance.now();
    await lake.restart("all");
    const started_ms = performance.now() - start_ms;
    const { results } = await calls.search({ query: more[0] as string, k: 1 });
    return [
      timing(`acknowledged add, ${TRACES} traces stored, one client`, 5, 25, adds),
      timing(`acknowledged add at ${ADDS_A_SECOND} a second for ${RATE_SECONDS} s`, 5, 25, sustained),
      timing("search of all traces", 10, 50, everywhere),
      timing("search of one user's traces", 10, 50, within),
      {
        what: `start with ${TRACES} traces, until it listens and its first search is right`,
        target: "told",
        measured: `${Math.round(started_ms)} ms`,
        met: results[0]?.trace.content === more[0],
        detail: `stop ${Math.round(start_ms - stop_ms)} ms; import ${Math.round(loaded)} traces a second, searchable`,
      },
    ];
  } finally {
    await lake.stop();
    rmSync(lake.data_dir, { recursive: true, force: true });
  }
}

type Calls = ReturnType<typeof pathwayAt>;

async function addOneByOne(calls: Calls, texts: readonly string[]): Promise<number[]> {
  const took_ms: number[] = [];
  for (const [at, content] of texts.entries()) {
    const from_ms = performance.now();
    const { indexed } = await calls.add({ content, scope: scopeOf(at) });
    took_ms.push(performance.now() - from_ms);
    if (!indexed) throw new Error("an add was not indexed when it was acknowledged");
  }
  return took_ms;
}

/** Each at its own time, whether those before are answered or not. */
async function addAtRate(calls: Calls, texts: readonly string[]): Promise<number[]> {
  const begun_ms = performance.now();
  return Promise.all(
    texts.map(async (content, at) => {
      const due_ms = begun_ms + (1000 * at) / ADDS_A_SECOND;
      await Bun.sleep(Math.max(0, due_ms - performance.now()));
      const { indexed } = await calls.add({ content, scope: scopeOf(at) });
      if (!indexed) throw new Error("an add was not indexed when it was acknowledged");
      return performance.now() - due_ms;
    }),
  );
}

async function search(
  calls: Calls,
  texts: readonly string[],
  where: (user: number) => object,
): Promise<number[]> {
  const random = seeded(7);
  const took_ms: number[] = [];
  for (let at = 0; at < SEARCHES; at++) {
    const text = texts[Math.floor(random() * TRACES)] as string;
    // Some of its words, as a question has them.
    const query = text.split(/\s+/).slice(0, 8).join(" ");
    const from_ms = performance.now();
    await calls.search({ query, k: 10, ...where(at % USERS) });
    took_ms.push(performance.now() - from_ms);
  }
  return took_ms;
}

/** Until the index's graph holds all, as it does shortly after a load. */
async function quiet(url: string): Promise<void> {
  const calls = pathwayAt(url);
  for (let fast = 0; fast < 3; ) {
    const from_ms = performance.now();
    await calls.search({ query: "quiet", k: 1 });
    fast = performance.now() - from_ms < 100 ? fast + 1 : 0;
    await Bun.sleep(2000);
  }
}

function linesOf(texts: readonly string[], from: number): string {
  const at = new Date().toISOString();
  return texts
    .map((content, index) => {
      const body = { content, scope: scopeOf(from + index) };
      return JSON.stringify({
        uid: Bun.randomUUIDv7(),
        versions: [{ version: 1, at, change: "added", body }],
      });
    })
    .join("\n");
}

const scopeOf = (at: number) => ({ user_id: `user ${at % USERS}` });

function textsOf(path: string | undefined, count: number): string[] {
  const read =
    path !== undefined && existsSync(path)
      ? readFileSync(path, "utf8")
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line).text as string)
          .filter((text) => text.trim() !== "")
      : [];
  const random = seeded(3);
  const word = () => `${"bcdfgklmnprst"[Math.floor(random() * 13)]}${"aeiou"[Math.floor(random() * 5)]}`;
  const words = Array.from({ length: 20_000 }, () =>
    Array.from({ length: 2 + Math.floor(random() * 2) }, word).join(""),
  );
  // Few words are common and many are rare, as in any language.
  const made = () =>
    Array.from({ length: 12 }, () => words[Math.floor(words.length * random() ** 3)]).join(" ");
  while (read.length < count) read.push(made());
  return read.slice(0, count);
}

function timing(what: string, p50_ms: number, p99_ms: number, took_ms: readonly number[]): Row {
  const sorted = [...took_ms].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] as number;
  return {
    what,
    target: `p50 ≤ ${p50_ms} ms, p99 ≤ ${p99_ms} ms`,
    measured: `p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms`,
    met: at(0.5) <= p50_ms && at(0.99) <= p99_ms,
  };
}

if (import.meta.main) printRows(await run());
