/**
 * What playbooks do for searches through the gateway: of a set's queries one half is recorded with its relevant
 * documents, the other half is asked, with playbooks and without; then again with half of the playbooks' answers
 * replaced by documents drawn at random. `bun scripts/bench/playbooks.ts --sets FOLDER`; it reads cranfield.json there.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compose } from "../../src/compose.ts";
import { parseConfig } from "../../src/config.ts";
import { listen } from "../../src/listen.ts";
import type { MatrixFound } from "../../src/services/matrixd/schema.ts";
import { createLog } from "../../src/shared/log.ts";
import { printRows, type Row } from "./row.ts";

const SET = "cranfield.json";
const SPLITS = 5;
const K = 10;
const BATCH = 200;
/** What wrong playbooks may cost at most. */
const TOLERANCE = 0.005;

interface RetrievalSet {
  documents: { id: string; text: string }[];
  queries: { text: string; relevant: string[] }[];
}
type Query = RetrievalSet["queries"][number];
interface Playbook {
  query: string;
  answer: { corpus: string; id: string };
}

/** A whole lake in this process, over a folder of its own. */
async function withLake<T>(
  work: (post: <A>(path: string, body: object) => Promise<A>) => Promise<T>,
): Promise<T> {
  const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-bench-"));
  const config = parseConfig("", {
    LAKEHOUSE_LOG_LEVEL: "silent",
    LAKEHOUSE_DATA_DIR: data_dir,
    LAKEHOUSE_GATEWAY_BIND: "127.0.0.1:0",
    LAKEHOUSE_GATEWAY_WITNESS: "false",
  });
  const listener = listen(await compose(config, "all", createLog("silent")), config);
  try {
    return await work(async <A>(path: string, body: object) => {
      const response = await fetch(`${listener.url}/v1${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return (await response.json()) as A;
    });
  } finally {
    await listener.stop();
    rmSync(data_dir, { recursive: true, force: true });
  }
}

/** nDCG@10 with binary relevance, the mean over the queries. */
function quality(queries: readonly Query[], found: readonly (readonly string[])[]): number {
  const gain = (place: number) => 1 / Math.log2(place + 2);
  const each = queries.map(({ relevant }, at) => {
    const ideal = Array.from({ length: Math.min(K, relevant.length) }, (_, place) => gain(place));
    const got = (found[at] ?? []).map((id, place) => (relevant.includes(id) ? gain(place) : 0));
    const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
    return sum(got) / sum(ideal);
  });
  return each.reduce((total, value) => total + value, 0) / each.length;
}

function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

interface Measured {
  without: number;
  right: number;
  half_wrong: number;
}

/** One split of the queries; each kind of playbooks in a corpus of its own, over the same index. */
async function measure(set: RetrievalSet, seed: number): Promise<Measured> {
  const random = seeded(seed);
  const queries = shuffled(
    set.queries.filter(({ relevant }) => relevant.length > 0),
    random,
  );
  const [recorded, asked] = [queries.slice(0, queries.length / 2), queries.slice(queries.length / 2)];
  const pairs = recorded.flatMap(({ text, relevant }) => relevant.map((id) => ({ text, id })));
  const anywhere = () => set.documents[Math.floor(random() * set.documents.length)]?.id as string;
  const wrong = new Set(shuffled([...pairs.keys()], random).slice(0, pairs.length / 2));
  const playbooks = (corpus: string, idOf: (at: number) => string): Playbook[] =>
    pairs.map(({ text }, at) => ({ query: text, answer: { corpus, id: idOf(at) } }));
  return withLake(async (post) => {
    await post("/vectors/index", { name: "set" });
    for (let from = 0; from < set.documents.length; from += BATCH)
      await post("/vectors/index/set/add", { items: set.documents.slice(from, from + BATCH) });
    for (const name of ["right", "half-wrong"])
      await post("/matrix/corpora", { name, kind: "index", index: "set" });
    const all = [
      ...playbooks("right", (at) => pairs[at]?.id as string),
      ...playbooks("half-wrong", (at) => (wrong.has(at) ? anywhere() : (pairs[at]?.id as string))),
    ];
    for (let from = 0; from < all.length; from += BATCH)
      await post("/matrix/playbooks/bulk", { playbooks: all.slice(from, from + BATCH) });
    const ask = async (corpus: string, with_playbooks: boolean) => {
      const found: string[][] = [];
      for (const { text } of asked) {
        const query = { query: text, corpora: [corpus], k: K, playbooks: with_playbooks };
        const { results, warnings } = await post<MatrixFound>("/matrix/search", query);
        if (warnings.length > 0) throw new Error(JSON.stringify(warnings));
        found.push(results.map(({ id }) => id));
      }
      return quality(asked, found);
    };
    return {
      without: await ask("right", false),
      right: await ask("right", true),
      half_wrong: await ask("half-wrong", true),
    };
  });
}

function argument(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at === -1 ? undefined : process.argv[at + 1];
}

/** No rows, and a word about it, when no folder of sets is given: they are not part of the project. */
export async function run(folder: string | undefined = argument("--sets")): Promise<Row[]> {
  if (folder === undefined) {
    console.error("playbooks: not measured; name a folder of retrieval sets with --sets FOLDER");
    return [];
  }
  const { documents, queries } = (await Bun.file(join(folder, SET)).json()) as RetrievalSet;
  // Two of Cranfield's documents have no text, so that there is nothing to find them by.
  const set = { documents: documents.filter(({ text }) => text.trim() !== ""), queries };
  const splits: Measured[] = [];
  for (let seed = 1; seed <= SPLITS; seed++) splits.push(await measure(set, seed));
  const gains = (kind: "right" | "half_wrong") => splits.map((it) => it[kind] - it.without);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const signed = (value: number) => `${value < 0 ? "−" : "+"} ${Math.abs(value).toFixed(4)}`;
  const each = (kind: keyof Measured) => splits.map((it) => it[kind].toFixed(4)).join(", ");
  const [right, half_wrong] = [gains("right"), gains("half_wrong")];
  return [
    {
      what: "nDCG@10 of held-out queries with playbooks of the other half, against without",
      target: "higher, in every split",
      measured: signed(mean(right)),
      met: Math.min(...right) > 0,
      detail: `Cranfield, ${SPLITS} splits: without ${each("without")}; with ${each("right")}; least gain ${signed(Math.min(...right))}`,
    },
    {
      what: "the same where half of the playbooks' answers are random documents",
      target: `not lower by more than ${TOLERANCE}, in any split`,
      measured: `${signed(mean(half_wrong))}, least ${signed(Math.min(...half_wrong))}`,
      met: Math.min(...half_wrong) >= -TOLERANCE,
      detail: `with ${each("half_wrong")}`,
    },
  ];
}

if (import.meta.main) printRows(await run());
