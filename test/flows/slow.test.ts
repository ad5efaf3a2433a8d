/** An answer that takes long comes, by the port and by the Unix socket beside it, which Bun would cut after 10 s. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { House } from "../../src/compose.ts";
import { parseConfig } from "../../src/config.ts";
import { listen } from "../../src/listen.ts";
import { socketPath } from "../../src/shared/socket_path.ts";

/** Bun looks every 4 s for what has been quiet for 10. */
const SLOW_MS = 14_500;

test("a service that is silent for long answers by its port and by its socket", async () => {
  const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-slow-"));
  const house = {
    edge: {
      fetch: () => Bun.sleep(SLOW_MS).then(() => new Response("here")),
      error: () => new Response(null, { status: 500 }),
      drain: () => {},
      quiet_ms: Number.POSITIVE_INFINITY,
      underWay: () => [],
    },
    app: {},
    target: "matrixd",
    hostname: "127.0.0.1",
    port: 0,
    close: () => Promise.resolve(),
  } as unknown as House;
  const listener = listen(house, parseConfig("", { LAKEHOUSE_DATA_DIR: data_dir }));
  try {
    const unix = socketPath(data_dir, "matrixd", Number(new URL(listener.url).port));
    const answers = await Promise.all([fetch(listener.url), fetch("http://localhost/", { unix })]);
    expect(await Promise.all(answers.map((it) => it.text()))).toEqual(["here", "here"]);
  } finally {
    await listener.stop();
    rmSync(data_dir, { recursive: true, force: true });
  }
}, 60_000);
