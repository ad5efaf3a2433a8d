/** A vectord that hangs, its connections open and nothing coming: who asks is told so in time, whatever was asked. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compose } from "../../src/compose.ts";
import { parseConfig } from "../../src/config.ts";
import { listen } from "../../src/listen.ts";
import type { CorpusInfo, CorpusPage } from "../../src/services/matrixd/schema.ts";
import { createLog } from "../../src/shared/log.ts";
import { startHouse } from "../support/house.ts";
import { matrixAt } from "../support/matrix.ts";
import { startProcesses } from "../support/processes.ts";
import type { Problem } from "../support/vectors.ts";

interface Stuck {
  readonly url: string;
  hang(): void;
  goOn(): void;
}

const ENV = { LAKEHOUSE_GATEWAY_TIMEOUT_MS: "3000", LAKEHOUSE_MATRIXD_TIMEOUT_MS: "700" };
const ended: (() => unknown)[] = [];
afterAll(async () => {
  for (const end of ended.reverse()) await end();
});

/** Each service in a process of its own, of which vectord's is stopped. */
async function processes(): Promise<Stuck> {
  const house = await startProcesses("forwarded", ENV);
  const signal = (name: NodeJS.Signals) => process.kill(house.pids.vectord as number, name);
  ended.push(async () => {
    signal("SIGCONT");
    await house.stop();
    rmSync(house.data_dir, { recursive: true, force: true });
  });
  return { url: house.url, hang: () => signal("SIGSTOP"), goOn: () => signal("SIGCONT") };
}

/** One process with all but vectord and what that needs; before vectord stands what can hold every answer back. */
async function runtime(): Promise<Stuck> {
  const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-stuck-"));
  const urls: Record<string, string> = {};
  for (const name of ["storaged", "catalogd", "embedd", "vectord"] as const) {
    const settings = { ...urls, [`LAKEHOUSE_${name.toUpperCase()}_BIND`]: "127.0.0.1:0" };
    const config = parseConfig("", {
      ...settings,
      LAKEHOUSE_DATA_DIR: data_dir,
      LAKEHOUSE_LOG_LEVEL: "silent",
    });
    const listener = listen(await compose(config, name, createLog("silent")), config);
    ended.push(() => listener.stop());
    urls[`LAKEHOUSE_GATEWAY_${name.toUpperCase()}_URL`] = listener.url;
  }
  const vectord = urls.LAKEHOUSE_GATEWAY_VECTORD_URL as string;
  let held = Promise.withResolvers<void>();
  held.resolve();
  const before = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      await held.promise;
      const { pathname, search } = new URL(request.url);
      const body = request.method === "GET" ? undefined : await request.bytes();
      const { method, headers } = request;
      return fetch(`${vectord}${pathname}${search}`, { method, headers, body });
    },
  });
  const before_url = `http://127.0.0.1:${before.port}`;
  const house = await startHouse(
    "mounted",
    { ...ENV, ...urls, LAKEHOUSE_GATEWAY_VECTORD_URL: before_url },
    data_dir,
  );
  ended.unshift(() => rmSync(data_dir, { recursive: true, force: true }));
  ended.push(async () => {
    held.resolve();
    await house.stop();
    await before.stop(true);
  });
  return {
    url: house.url,
    hang: () => {
      held = Promise.withResolvers();
    },
    goOn: () => held.resolve(),
  };
}

describe.each([
  ["in a process of its own", processes],
  ["before a single runtime", runtime],
] as const)("a vectord that hangs, %s", (_name, start) => {
  test("costs the list of corpora its own counts, and a snapshot no more than the gateway's deadline", async () => {
    const { url, hang, goOn } = await start();
    const { fill, send } = matrixAt(url);
    await fill("notes", [{ id: "a", text: "words of one kind" }]);
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ content: "something remembered" });
    expect((await fetch(`${url}/v1/pathway/add`, { method: "POST", headers, body })).status).toBe(201);
    expect((await send("POST", "/corpora", { name: "memory", kind: "pathway" })).status).toBe(201);

    hang();
    const listed = await send<CorpusPage>("GET", "/corpora");
    expect(listed).toMatchObject({
      status: 200,
      body: {
        corpora: [
          { name: "memory", items: 1 },
          { name: "notes", state: "unavailable", items: null, reason: expect.stringContaining("700 ms") },
        ],
      },
    });
    expect((await send<CorpusInfo>("GET", "/corpora/notes")).body.state).toBe("unavailable");
    const snapshot = `${url}/v1/vectors/index/notes/snapshot`;
    const late = await fetch(snapshot, { method: "POST", headers, body: "{}" });
    const { code, detail } = (await late.json()) as Problem;
    expect([late.status, code]).toEqual([504, "deadline"]);
    expect(detail).toContain("gave no sign of life for 3000 ms");

    goOn();
    expect((await send<CorpusInfo>("GET", "/corpora/notes")).body).toMatchObject({
      state: "ready",
      items: 1,
    });
    expect((await fetch(snapshot, { method: "POST", headers, body: "{}" })).status).toBe(200);
  }, 60_000);
});
