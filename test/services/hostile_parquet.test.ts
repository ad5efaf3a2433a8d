/** Parquet whose footer or pages lie: refused in words, without a path of this machine, wherever it is sent. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inBothCompositions } from "../support/house.ts";
import { duck } from "../support/ingest.ts";
import type { Problem } from "../support/vectors.ts";

const folder = mkdtempSync(join(tmpdir(), "lakehouse-parquet-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Where a file's pages begin, past its magic. */
const PAGES = 4;
const FOOTER_LENGTH_FROM_END = 8;

const DAMAGES: [string, (bytes: Buffer) => void][] = [
  ["a footer longer than the file", (it) => it.writeUInt32LE(0xffffffff, it.length - FOOTER_LENGTH_FROM_END)],
  ["no page header", (it) => it.fill(0, PAGES, PAGES + 24)],
  ["page headers of nonsense", (it) => it.fill(0xff, PAGES, PAGES + 24)],
  ["pages of nonsense", (it) => it.fill(0x5a, PAGES + 24, it.length >> 1)],
];

inBothCompositions("hostile Parquet", (start) => {
  test("is refused by vectord and by ingestd, and the next file is taken", async () => {
    const house = await start();
    const path = join(folder, `${Bun.randomUUIDv7()}.parquet`);
    await duck(
      `COPY (SELECT 'a' || range AS id, 'note ' || hash(range) AS text FROM range(3000)) TO '${path}' (FORMAT parquet)`,
    );
    const whole = readFileSync(path);
    await fetch(`${house.url}/v1/vectors/index`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"name":"notes"}',
    });
    const send = (to: string, body: Buffer) =>
      fetch(`${house.url}/v1/${to}`, {
        method: "POST",
        headers: { "content-type": "application/vnd.apache.parquet" },
        body: new Uint8Array(body),
      });
    for (const to of ["vectors/index/notes/add", "ingest?name=notes"]) {
      for (const [what, damage] of DAMAGES) {
        const bytes = Buffer.from(whole);
        damage(bytes);
        const response = await send(to, bytes);
        const { detail } = (await response.json()) as Problem;
        expect([to, what, response.status]).toEqual([to, what, 400]);
        expect(detail).toStartWith("The file can't be read as Parquet: ");
        expect(detail).not.toContain(house.data_dir);
        expect(detail).not.toContain("input");
      }
      expect((await send(to, whole)).ok).toBe(true);
    }
  }, 60_000);
});
