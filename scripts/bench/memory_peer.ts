/**
 * pathwayd over HTTP, single runtime, beside the reference memory server of the Model Context Protocol over stdio:
 * the same 10,000 facts, written and searched one after another by one client; and two writers at once.
 * The other is installed from npm when first needed: `--peers FOLDER` says where it is kept.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathwayAt } from "../../test/support/pathway.ts";
import { startProcesses } from "../../test/support/processes.ts";
import { type McpMemory, mcpMemory } from "./peers/mcp_memory.ts";
import { median, printRows, type Row } from "./row.ts";

const FACTS = 10_000;
/** The last of the facts, written one by one and timed. */
const TIMED = 300;
const BATCH = 100;
const SEARCHES = 300;
const K = 10;
const UPDATES_EACH = 50;

interface Memory {
  /** Writes many at once, as fast as it can. */
  load(facts: readonly string[]): Promise<void>;
  write(fact: string): Promise<void>;
  /** @returns the facts found */
  search(query: string): Promise<string[]>;
  /** Two writers add lines to one memory. @returns acknowledged lines that are not there afterwards */
  lost(): Promise<number>;
  stop(): Promise<void>;
}

interface Measured {
  readonly loads_per_s: number;
  readonly writes_ms: number[];
  readonly searches_ms: number[];
  /** Of the facts searched for. */
  readonly found: number;
  readonly lost: number;
}

export async function run(): Promise<Row[]> {
  const facts = Array.from({ length: FACTS }, (_, at) => factOf(at));
  const folder = mkdtempSync(join(tmpdir(), "lakehouse-mcp-memory-"));
  try {
    let peer: Memory;
    try {
      peer = await reference(folder);
    } catch (error) {
      console.error(`memory_peer: NOT MEASURED: ${(error as Error).message}`);
      return [];
    }
    const theirs = await measure(peer, facts);
    const ours = await measure(await pathwayd(), facts);
    return [
      faster("a write, acknowledged", ours, theirs, "writes_ms"),
      faster("a search", ours, theirs, "searches_ms"),
      {
        what: `${2 * UPDATES_EACH} acknowledged updates of one memory by two writers at once`,
        target: "none lost here",
        measured: `${ours.lost} lost here, ${theirs.lost} lost there`,
        met: ours.lost === 0 && theirs.lost > 0,
        detail:
          "there: two hosts, each with a server of its own over one file, add observations to one entity; here: two " +
          "clients update one trace, naming the version they saw, and read it again where that is refused (409)",
      },
    ];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A sentence whose number makes it unlike the others, of words that many of them share. */
function factOf(at: number): string {
  const of = (words: readonly string[], turn: number) => words[Math.floor(at / turn) % words.length];
  const who = of(["Ada", "Boris", "Chen", "Dora", "Emil", "Fatima", "Goran", "Hana", "Ines", "Jonas"], 1);
  const did = of(["ordered", "repaired", "returned", "sold", "painted", "measured", "photographed"], 10);
  const what = of(["a green kettle", "the old lamp", "two chairs", "a canoe", "the north door"], 70);
  const where = of(
    ["Oslo", "Lima", "Pune", "Graz", "Cork", "Turin", "Quito", "Osaka", "Lagos", "Perth"],
    350,
  );
  return `${who} ${did} ${what} in ${where}, receipt number ${100_000 + at}, and was content with it`;
}

async function measure(memory: Memory, facts: readonly string[]): Promise<Measured> {
  try {
    const [many, last] = [facts.slice(0, -TIMED), facts.slice(-TIMED)];
    const from_ms = performance.now();
    await memory.load(many);
    const loads_per_s = (1000 * many.length) / (performance.now() - from_ms);
    const writes_ms: number[] = [];
    for (const fact of last) writes_ms.push(await took(() => memory.write(fact)));
    const searches_ms: number[] = [];
    let found = 0;
    for (let nth = 0; nth < SEARCHES; nth++) {
      const fact = facts[(nth * 7919) % facts.length] as string;
      const query = /receipt number \d+/.exec(fact)?.[0] ?? fact;
      searches_ms.push(
        await took(async () => {
          if ((await memory.search(query)).includes(fact)) found += 1;
        }),
      );
    }
    return { loads_per_s, writes_ms, searches_ms, found: found / SEARCHES, lost: await memory.lost() };
  } finally {
    await memory.stop();
  }
}

async function took(work: () => Promise<void>): Promise<number> {
  const from_ms = performance.now();
  await work();
  return performance.now() - from_ms;
}

function faster(what: string, ours: Measured, theirs: Measured, of: "writes_ms" | "searches_ms"): Row {
  const [a, b] = [median(ours[of]), median(theirs[of])];
  const all = ours.found === 1 && theirs.found === 1;
  return {
    what: `${what}, with ${FACTS.toLocaleString("en")} facts stored, against the reference memory server`,
    target: "faster",
    measured: `${(b / a).toFixed(1)} × faster (p50 ${a.toFixed(2)} ms to ${b.toFixed(2)} ms)`,
    met: a < b && (of === "writes_ms" || all),
    detail:
      of === "writes_ms"
        ? `facts a second when many are loaded: ours ${Math.round(ours.loads_per_s)} (${BATCH} requests at a time, each durable), ` +
          `theirs ${Math.round(theirs.loads_per_s)} (${BATCH} in a request, none synced)`
        : `facts found by their receipt's number: ours ${percent(ours.found)}, theirs ${percent(theirs.found)}`,
  };
}

const percent = (share: number) => `${Math.round(100 * share)} %`;

async function pathwayd(): Promise<Memory> {
  const lake = await startProcesses("mounted");
  const calls = pathwayAt(lake.url);
  const write = async (content: string) => void (await calls.add({ content, kind: "fact" }));
  const append = async (uid: string, line: string) => {
    for (;;) {
      const { version, content } = await calls.get(uid);
      const { status } = await calls.send("POST", "update", { uid, version, content: `${content}\n${line}` });
      if (status === 200) return;
      if (status !== 409) throw new Error(`an update was answered ${status}`);
    }
  };
  return {
    load: async (facts) => {
      const rest = facts.values();
      const client = async () => {
        for (const fact of rest) await write(fact);
      };
      await Promise.all(Array.from({ length: BATCH }, client));
    },
    write,
    search: async (query) =>
      (await calls.search({ query, k: K })).results.map(({ trace }) => `${trace.content}`),
    lost: async () => {
      const { uid } = await calls.add({ content: "log" });
      const lines = await byTwoWriters((_, line) => append(uid, line));
      const kept = `${(await calls.get(uid)).content}`.split("\n");
      return lines.filter((line) => !kept.includes(line)).length;
    },
    stop: async () => {
      await lake.stop();
      rmSync(lake.data_dir, { recursive: true, force: true });
    },
  };
}

async function reference(folder: string): Promise<Memory> {
  const file = join(folder, "memory.jsonl");
  const hosts: McpMemory[] = [await mcpMemory(file), await mcpMemory(file)];
  const [server] = hosts as [McpMemory];
  let named = 0;
  const create = async (facts: readonly string[]) => {
    const entities = facts.map((fact) => ({
      name: `fact ${named++}`,
      entityType: "fact",
      observations: [fact],
    }));
    await server.call("create_entities", { entities });
  };
  type Graph = { entities: { observations: string[] }[] };
  return {
    load: async (facts) => {
      for (let from = 0; from < facts.length; from += BATCH) await create(facts.slice(from, from + BATCH));
    },
    write: (fact) => create([fact]),
    search: async (query) => {
      const { entities } = await server.call<Graph>("search_nodes", { query });
      return entities.flatMap(({ observations }) => observations);
    },
    lost: async () => {
      await server.call("create_entities", {
        entities: [{ name: "log", entityType: "log", observations: [] }],
      });
      const lines = await byTwoWriters(async (writer, line) => {
        const observations = [{ entityName: "log", contents: [line] }];
        await (hosts[writer] as McpMemory).call("add_observations", { observations });
      });
      const { entities } = await server.call<Graph>("open_nodes", { names: ["log"] });
      const kept = entities.flatMap(({ observations }) => observations);
      return lines.filter((line) => !kept.includes(line)).length;
    },
    stop: async () => {
      for (const host of hosts) await host.stop();
    },
  };
}

/** Both write at once, each its own lines one after another. @returns all the lines, each acknowledged */
async function byTwoWriters(append: (writer: number, line: string) => Promise<void>): Promise<string[]> {
  const lines: string[] = [];
  const writer = async (number: number) => {
    for (let nth = 0; nth < UPDATES_EACH; nth++) {
      const line = `writer ${number}, line ${nth}`;
      await append(number, line);
      lines.push(line);
    }
  };
  await Promise.all([writer(0), writer(1)]);
  return lines;
}

if (import.meta.main) printRows(await run());
