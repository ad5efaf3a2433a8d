/** The backup of docs/operating.md is run as it stands on a lake in use; what starts from it has everything. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningHouse, startHouse } from "../support/house.ts";
import { read } from "../support/source.ts";

const WAIT_MS = 60_000;
const chapter = /^## Backups$([\s\S]*?)^## /m.exec(read("docs/operating.md"))?.[1] ?? "";

describe("a backup", () => {
  const folder = mkdtempSync(join(tmpdir(), "lakehouse-backup-"));
  const houses: RunningHouse[] = [];
  const start = async (name: string) => {
    const house = await startHouse("mounted", {}, join(folder, name));
    houses.push(house);
    return house;
  };
  afterAll(async () => {
    for (const house of houses) await house.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test.skipIf(Bun.which("sqlite3") === null)(
    "holds tables, objects, indexes, memory, corpora, outcomes, playbooks and what was witnessed",
    async () => {
      const lake = await start("data");
      await fill(lake.url);
      const before = await told(lake.url);
      for (const part of Object.values(before)) expect(part).not.toBeEmpty();
      const script = /^```sh\n([\s\S]*?)^```$/m.exec(chapter)?.[1] ?? "";
      const copying = Bun.spawn(["bash", "-eu", "-c", script], { cwd: folder, stderr: "pipe" });
      expect([await copying.exited, await new Response(copying.stderr).text()]).toEqual([0, ""]);
      const restored = await start("backup");
      expect(await told(restored.url)).toEqual(before);
    },
    WAIT_MS,
  );

  test("is told of every folder that a lake makes, or that it needs none", async () => {
    const { data_dir } = await start("fresh");
    const lies = /^## What lies where$([\s\S]*?)^## /m.exec(read("docs/operating.md"))?.[1] ?? "";
    const folders = readdirSync(data_dir).filter((name) => statSync(join(data_dir, name)).isDirectory());
    expect(folders).toContain("pathway");
    expect(folders.filter((name) => !chapter.includes(`\`${name}/\``))).toEqual([]);
    expect(folders.filter((name) => !lies.includes(`| \`${name}/`))).toEqual([]);
  });
});

async function fill(url: string): Promise<void> {
  const csv = await fetch(`${url}/v1/ingest?name=items`, {
    method: "POST",
    headers: { "content-type": "text/csv" },
    body: "id,name\n1,pen\n2,ink\n",
  });
  expect(csv.status).toBe(201);
  expect((await fetch(`${url}/v1/storage/put/notes/a`, { method: "PUT", body: "kept" })).status).toBe(201);
  await post(url, "vectors/index", { name: "articles" });
  await post(url, "vectors/index/articles/add", { items: [{ id: "a1", text: "Snow in Oslo" }] });
  await post(url, "pathway/add", { content: "Ada prefers trains to planes" });
  await post(url, "matrix/corpora", { name: "articles", kind: "index", index: "articles" });
  await post(url, "matrix/outcomes", { model: "m", mode: "lean", success: true });
  const answer = { corpus: "articles", id: "a1" };
  await post(url, "matrix/playbooks/record", { query: "where is it cold?", answer });
  await post(url, "observer/event", { endpoint: "mine", source: "scenario", success: true });
}

/** What a client sees of all that, without times taken and counts that a start resets. */
async function told(url: string): Promise<object> {
  const search = { query: "how does Ada travel?" };
  const { results: traces } = await post(url, "pathway/search", search);
  const { results: hits } = await post(url, "vectors/index/articles/search", {
    text: "winter",
    include: ["text"],
  });
  return {
    rows: (await post(url, "sql", { sql: "SELECT * FROM items ORDER BY id" })).rows,
    object: await (await fetch(`${url}/v1/storage/get/notes/a`)).text(),
    hits,
    traces: (traces as { trace: object }[]).map(({ trace }) => trace),
    corpora: (await get(url, "matrix/corpora")).corpora,
    outcomes: (await get(url, "matrix/outcomes")).outcomes,
    playbooks: (await get(url, "matrix/playbooks")).playbooks,
    ops: (await get(url, "observer/ops?source=scenario")).ops,
  };
}

async function post(url: string, path: string, body: object): Promise<Record<string, unknown>> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/v1/${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await response.text();
  expect(`${path} ${response.ok ? "ok" : answer}`).toBe(`${path} ok`);
  return JSON.parse(answer) as Record<string, unknown>;
}

async function get(url: string, path: string): Promise<Record<string, unknown>> {
  return (await (await fetch(`${url}/v1/${path}`)).json()) as Record<string, unknown>;
}
