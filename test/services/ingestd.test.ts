import { beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { inBothCompositions, type RunningHouse } from "../support/house.ts";
import { dataFiles, rowsOf, send } from "../support/ingest.ts";

const SETTINGS = { LAKEHOUSE_INGESTD_MAX_EXPANDED_BYTES: String(8 * 1024 * 1024) };
const CSV = "id,name\n1,Ann\n2,Bob\n";

/** The same bytes in an array of their own, as a body's type wants them. */
function zstd(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Bun.zstdCompressSync(bytes as Uint8Array<ArrayBuffer>));
}

function scratch(lake: RunningHouse): string[] {
  const folder = join(lake.data_dir, "ingest", "scratch");
  return existsSync(folder) ? readdirSync(folder) : [];
}

async function eventually(done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline_ms = performance.now() + 15_000;
  while (!(await done())) {
    if (performance.now() > deadline_ms) throw new Error("it did not come to pass within 15 s");
    await Bun.sleep(20);
  }
}

inBothCompositions("ingestd: modes", (start) => {
  let lake: RunningHouse;
  beforeAll(async () => {
    lake = await start(SETTINGS);
  });

  test("makes a new table once: the same again is existing, other bytes or options are refused", async () => {
    const first = await send(lake.url, "name=once", CSV);
    expect(first.status).toBe(201);
    expect(first.body).toMatchObject({
      dataset: "once",
      rows: 2,
      bytes_in: CSV.length,
      existing: false,
      rejected: { count: 0, samples: [] },
      schema: [
        { name: "id", type: "long", nullable: true },
        { name: "name", type: "string", nullable: true },
      ],
    });
    expect(first.body.snapshot_id).toMatch(/^\d+$/);
    const again = await send(lake.url, "name=once", CSV);
    expect(again.status).toBe(200);
    expect(again.body).toMatchObject({ existing: true, snapshot_id: first.body.snapshot_id, rows: 2 });
    expect((await send(lake.url, "name=once", `${CSV}3,Cy\n`)).status).toBe(409);
    expect((await send(lake.url, "name=once&types=id:string", CSV)).status).toBe(409);
    expect(await rowsOf(lake, "once")).toEqual([
      ["1", "Ann"],
      ["2", "Bob"],
    ]);
  });

  test("appends, and an Idempotency-Key guards the repeat", async () => {
    await send(lake.url, "name=more", CSV);
    const key = { "idempotency-key": "batch-7" };
    const first = await send(lake.url, "name=more&mode=append", "id,name\n3,Cy\n", key);
    const again = await send(lake.url, "name=more&mode=append", "id,name\n3,Cy\n", key);
    expect([first.status, again.status]).toEqual([200, 200]);
    expect(again.body).toMatchObject({ existing: true, snapshot_id: first.body.snapshot_id, rows: 1 });
    expect((await send(lake.url, "name=more&mode=append", "id,name\n4,Di\n", key)).status).toBe(409);
    expect(await rowsOf(lake, "more", "id")).toEqual([["1"], ["2"], ["3"]]);
  });

  test("overwrites all rows in one snapshot", async () => {
    await send(lake.url, "name=whole", CSV);
    expect((await send(lake.url, "name=whole&mode=overwrite", "id,name\n9,Zoe\n")).status).toBe(200);
    expect(await rowsOf(lake, "whole")).toEqual([["9", "Zoe"]]);
  });

  test("upserts by key, rewriting only the files that hold one", async () => {
    const first = await send(lake.url, "name=people&mode=upsert&key=id", CSV);
    expect(first.status).toBe(201);
    expect(first.body.schema[0]).toEqual({ name: "id", type: "long", nullable: false });
    await send(lake.url, "name=people&mode=append", "id,name\n100,Far\n");
    const before = (await dataFiles(lake, "people")) as string[];
    const upserted = await send(lake.url, "name=people&mode=upsert", "id,name\n2,Bea\n3,Cy\n");
    expect(upserted.status).toBe(200);
    const after = (await dataFiles(lake, "people")) as string[];
    expect(await rowsOf(lake, "people")).toEqual([
      ["1", "Ann"],
      ["2", "Bea"],
      ["3", "Cy"],
      ["100", "Far"],
    ]);
    expect(after.filter((it) => before.includes(it))).toHaveLength(1);
  });

  test("refuses an upsert whose keys are doubled, null, unknown or not asked for", async () => {
    const upsert = async (body: string, key = "&key=id") =>
      (await send(lake.url, `name=keys&mode=upsert${key}`, body)).body;
    expect((await upsert("id,v\n1,a\n1,b\n")).detail).toContain("1 (2 times)");
    expect((await upsert("id,v\n1,a\n,b\n")).detail).toContain('Line 3, column "id"');
    expect((await upsert("id,v\n1,a\n", "&key=nope")).detail).toContain('"nope"');
    expect((await upsert("id,v\n1,a\n", "")).detail).toContain("key=");
    expect(await dataFiles(lake, "keys")).toBeUndefined();
  });

  test("tells drift column by column, and evolves when asked", async () => {
    await send(lake.url, "name=drift", "id,price\n1,12345678901234567.25\n");
    const drifted = await send(lake.url, "name=drift&mode=append", "id,colour\n2,red\n");
    expect(drifted.status).toBe(409);
    expect(drifted.body.difference).toEqual([
      { column: "price", table: "decimal(19,2)", file: null, problem: "missing in the file" },
      { column: "colour", table: null, file: "string", problem: "not in the table" },
    ]);
    const evolved = await send(lake.url, "name=drift&mode=append&evolve=true", "id,colour\n2,red\n");
    expect(evolved.body.schema.map((it) => it.name)).toEqual(["id", "price", "colour"]);
    const wider = await send(
      lake.url,
      "name=drift&mode=append&evolve=true",
      "id,price,colour\n3,123456789012345678901.5,blue\n",
    );
    expect(wider.body.schema[1]).toEqual({ name: "price", type: "decimal(23,2)", nullable: true });
    expect(await rowsOf(lake, "drift", "id, price::VARCHAR, colour")).toEqual([
      ["1", "12345678901234567.25", null],
      ["2", null, "red"],
      ["3", "123456789012345678901.50", "blue"],
    ]);
  });
});

inBothCompositions("ingestd: files", (start) => {
  let lake: RunningHouse;
  beforeAll(async () => {
    lake = await start(SETTINGS);
  });

  test("types are right for the whole file, not only for its head", async () => {
    const numbers = Array.from({ length: 150_000 }, (_, i) => `${i},${i},${i}`).join("\n");
    const made = await send(lake.url, "name=late", `a,b,c\n${numbers}\n7,00123,0.5\n`);
    expect(made.body.schema.map((it) => it.type)).toEqual(["long", "string", "double"]);
    expect(await rowsOf(lake, "late", "count(*), count(*) FILTER (b = '00123')", "1")).toEqual([
      ["150001", "1"],
    ]);
  });

  test("what only looks like a number or a date stays text", async () => {
    const made = await send(
      lake.url,
      "name=text",
      "zip,phone,code,when,flag,version\n00123,+4912,1e5,01/02/2024,yes,1.2.3\n98765,+4913,2e5,2024-02-30,no,2\n",
    );
    expect(new Set(made.body.schema.map((it) => it.type))).toEqual(new Set(["string"]));
  });

  test("blanks around a value, however written, lose nothing of it", async () => {
    const body =
      "active,ratio,n\n true,0.27593872393481433,1\n\tFALSE ,1.2345678901234567e22, 2\ntrue,-0.1234567890123456,3\t\nfalse, 0.8894364200532436,4\n";
    const made = await send(lake.url, "name=blanks", body);
    expect(made.body.schema.map((it) => it.type)).toEqual(["boolean", "double", "long"]);
    expect(await rowsOf(lake, "blanks", "active, ratio, n", "n")).toEqual([
      [true, 0.27593872393481433, "1"],
      [false, Number("1.2345678901234567e22"), "2"],
      [true, -0.1234567890123456, "3"],
      [false, 0.8894364200532436, "4"],
    ]);
  });

  test("JSON keeps 64-bit ids, decimals and nested values", async () => {
    const records = [
      '{"id": 9007199254740993, "price": 12345678901234567.89, "ts": "2024-05-06T07:08:09.123456+02:00", "tags": ["a", "b"], "who": {"n": 1, "zip": "00123"}}',
      '{"id": -9223372036854775808, "price": 0.10, "ts": "2024-01-01T00:00:00Z", "tags": [], "who": {"n": 2, "deep": [{"x": 1.5}]}}',
    ];
    const made = await send(lake.url, "name=nested", `[${records.join(",\n")}]`, {
      "content-type": "application/json",
    });
    expect(made.body.schema.map((it) => it.type)).toEqual([
      "long",
      "decimal(19,2)",
      "timestamptz",
      "list<string>",
      "struct<n: long, zip: string, deep: list<struct<x: double>>>",
    ]);
    expect(await rowsOf(lake, "nested", "id, price::VARCHAR, ts::VARCHAR, tags, who", "id DESC")).toEqual([
      [
        "9007199254740993",
        "12345678901234567.89",
        "2024-05-06 05:08:09.123456+00",
        ["a", "b"],
        { n: "1", zip: "00123", deep: null },
      ],
      [
        "-9223372036854775808",
        "0.10",
        "2024-01-01 00:00:00+00",
        [],
        { n: "2", zip: null, deep: [{ x: 1.5 }] },
      ],
    ]);
  });

  test("reads delimiters, quotes, a byte order mark, empty text and null", async () => {
    await send(lake.url, "name=quoted", '\ufeffid;note\r\n1;"a;""b"""\r\n2;""\r\n3;\r\n4;"two\nlines"\r\n');
    expect(await rowsOf(lake, "quoted", "*", "id")).toEqual([
      ["1", 'a;"b"'],
      ["2", ""],
      ["3", null],
      ["4", "two\nlines"],
    ]);
    await send(lake.url, "name=options&delimiter=%7C%7C&header=false&null=NA&quote='", "1||NA\n2||'NA'\n");
    expect(await rowsOf(lake, "options", "*", "1")).toEqual([
      ["1", null],
      ["2", "NA"],
    ]);
  });

  test("reads gzip and zstd, by encoding or by their first bytes, and a form's one file", async () => {
    const bytes = Buffer.from(CSV);
    const forms: [string, BodyInit, Record<string, string>][] = [
      ["gz", Bun.gzipSync(bytes), {}],
      ["zst", zstd(bytes), {}],
      ["gz_encoded", Bun.gzipSync(bytes), { "content-encoding": "gzip" }],
      ["twice", zstd(Bun.gzipSync(bytes)), { "content-encoding": "zstd" }],
    ];
    const form = new FormData();
    form.append("file", new Blob([Bun.gzipSync(bytes)]), "people.csv.gz");
    forms.push(["form", form, {}]);
    for (const [name, body, headers] of forms) {
      expect((await send(lake.url, `name=${name}`, body, headers)).status).toBe(201);
      expect(await rowsOf(lake, name, "id")).toEqual([["1"], ["2"]]);
    }
    const cut = Bun.gzipSync(Buffer.alloc(100_000, "a,b\n1,2\n")).subarray(0, 100);
    expect((await send(lake.url, "name=cut", cut)).body.detail).toContain("damaged or cut short");
    expect((await send(lake.url, "name=cut", CSV, { "content-encoding": "gzip" })).status).toBe(400);
  });

  test("a bomb is 413, and leaves nothing behind", async () => {
    const bomb = Bun.gzipSync(Buffer.alloc(32 * 1024 * 1024));
    expect((await send(lake.url, "name=bomb", bomb)).status).toBe(413);
    expect(await dataFiles(lake, "bomb")).toBeUndefined();
    await eventually(() => scratch(lake).length <= 1);
  });

  test("a bad row is named by line and column, with nothing committed", async () => {
    const short = await send(lake.url, "name=bad", 'id,name\n1,"two\nlines"\n2\n');
    expect(short.status).toBe(400);
    expect(short.body).toMatchObject({ line: 4, column: "name", excerpt: "2" });
    expect(short.body.detail).toContain('Line 4, column "name"');
    const latin = Buffer.concat([
      Buffer.from("id,name\n1,Ann\n2,J"),
      Buffer.from([0xfc]),
      Buffer.from("rgen\n"),
    ]);
    expect((await send(lake.url, "name=bad", latin)).body).toMatchObject({ line: 3, column: "name" });
    const ndjson = await send(lake.url, "name=bad&format=ndjson", '{"a":1}\n{"a":\n');
    expect(ndjson.body).toMatchObject({ line: 2 });
    expect(await dataFiles(lake, "bad")).toBeUndefined();
    await send(lake.url, "name=typed", "id,n\n1,2\n");
    const misfit = await send(lake.url, "name=typed&mode=append", "id,n\n2,3\n3,four\n");
    expect(misfit.body).toMatchObject({ status: 400, line: 3, column: "n", excerpt: "four" });
    expect(await rowsOf(lake, "typed")).toEqual([["1", "2"]]);
  });

  test("on_error=skip leaves bad rows out and tells them", async () => {
    await send(lake.url, "name=skip", "id,n\n1,2\n");
    const { body } = await send(
      lake.url,
      "name=skip&mode=append&on_error=skip",
      "id,n\n2,3\n3\n4,five\n5,6\n",
    );
    expect(body).toMatchObject({ rows: 2, rejected: { count: 2 } });
    expect(body.rejected.samples.map((it) => [it.line, it.column])).toEqual([
      [3, "n"],
      [4, "n"],
    ]);
    expect(await rowsOf(lake, "skip")).toEqual([
      ["1", "2"],
      ["2", "3"],
      ["5", "6"],
    ]);
  });

  test("refuses what it can't read, saying so", async () => {
    const detail = async (query: string, body: BodyInit, headers = {}) =>
      (await send(lake.url, query, body, headers)).body.detail;
    expect(await detail("name=no&format=parquet", "not parquet")).toContain("can't be read as Parquet");
    const noise = new Uint8Array([
      ...Buffer.from("PAR1"),
      ...new Uint8Array(40).fill(7),
      ...Buffer.from("PAR1"),
    ]);
    const broken = await send(lake.url, "name=no&format=parquet", noise);
    expect(broken.body.detail).toContain("can't be read as Parquet");
    expect(JSON.stringify(broken.body)).not.toContain(lake.data_dir);
    expect(await detail("name=no", Buffer.from("\ufeffa,b\n1,2", "utf16le"))).toContain("UTF-16");
    const zip = (entry: string): Uint8Array<ArrayBuffer> =>
      Buffer.from(`PK\x03\x04${"\0".repeat(26)}${entry}`, "latin1");
    for (const [bytes, what] of [
      [Buffer.from("%PDF-1.7\n%âãÏÓ\n", "latin1"), "is a PDF, not CSV, JSON or Parquet. Save or export"],
      [zip("[Content_Types].xml"), "is an Excel or other Office file"],
      [zip("mimetypeapplication/vnd.oasis.opendocument.spreadsheet"), "is an OpenDocument file"],
      [zip("rows.csv"), "is a ZIP archive, not CSV, JSON or Parquet. Unpack it"],
      [Bun.gzipSync(zip("rows.csv")), "is a ZIP archive"],
      [Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), "is a PNG image, not CSV, JSON or Parquet."],
      [Buffer.from("SQLite format 3\0\x10\0", "latin1"), "is an SQLite database"],
    ] as const) {
      expect(await detail("name=no", bytes)).toContain(what);
      expect(await detail("name=no&format=csv", bytes)).toContain("not CSV.");
    }
    expect(await detail("name=no&format=csv", noise)).toContain("is Parquet, not CSV. Leave format out");
    // Names that only sound like it are text.
    expect((await send(lake.url, "name=sounds", "PDF,PK,Obj\n1,2,3\n")).status).toBe(201);
    expect(await detail("name=no&key=id", CSV)).toContain("mode=upsert");
    expect(await detail("name=no&types=nope:long", CSV)).toContain('"nope"');
    expect(await detail("name=no", CSV, { "content-encoding": "br" })).toContain("gzip and zstd");
    const form = new FormData();
    form.append("mode", "append");
    expect(await detail("name=no", form)).toContain("options belong in the query");
    const deep = `{"a":${"[".repeat(50_000)}${"]".repeat(50_000)}}`;
    expect(await detail("name=no&format=ndjson", deep)).toContain("nested too deeply");
  });
});

inBothCompositions("ingestd: jobs", (start) => {
  test("goes on without its request, tells its progress, and is told after a restart", async () => {
    const lake = await start();
    const job = await send(lake.url, "name=async", CSV, { prefer: "respond-async" });
    expect(job.status).toBe(202);
    const events = await (await fetch(`${lake.url}/v1/ingest/jobs/${job.body.job_id}/events`)).text();
    const last = events.trim().split("\n\n").at(-1) ?? "";
    expect(last).toStartWith("event: done\ndata: ");
    const told = JSON.parse(last.slice(last.indexOf("{")));
    expect(told).toMatchObject({ status: "done", phase: "done", percent: 100, rows: 2, bytes: CSV.length });
    expect(told.result).toMatchObject({ dataset: "async", rows: 2, existing: false });
    const failing = await send(lake.url, "name=async", "id,name\n1\n", { prefer: "respond-async" });
    const failed = async () => (await fetch(`${lake.url}/v1/ingest/jobs/${failing.body.job_id}`)).json();
    await eventually(async () => ((await failed()) as { status: string }).status === "failed");
    expect(await failed()).toMatchObject({ error: { code: "conflict" }, result: null });
    await lake.stop();
    const again = await start({}, lake.data_dir);
    const kept = await fetch(`${again.url}/v1/ingest/jobs/${job.body.job_id}`);
    expect(await kept.json()).toEqual(told);
    expect((await fetch(`${again.url}/v1/ingest/jobs/nope/events`)).status).toBe(404);
  });

  test("refuses more than its queue holds, and gives up when the client is gone", async () => {
    const lake = await start({ LAKEHOUSE_INGESTD_WORKERS: "1", LAKEHOUSE_INGESTD_QUEUE: "0" });
    const records = Array.from(
      { length: 400_000 },
      (_, i) => `{"id":${i},"name":"n${i}","at":"2024-01-01T00:00:00Z"}`,
    );
    const slow = records.join("\n");
    const gone = new AbortController();
    const under_way = fetch(`${lake.url}/v1/ingest?name=slow`, {
      method: "POST",
      body: slow,
      signal: gone.signal,
    });
    // What the service itself tells, since the gateway's health may be of a moment ago.
    const at = lake.service_urls.ingestd ?? lake.url;
    const running = async () => {
      const health = (await (await fetch(`${at}/health`)).json()) as {
        services: { ingestd: { running: number } };
      };
      return health.services.ingestd.running;
    };
    await eventually(async () => (await running()) === 1);
    const refused = await fetch(`${lake.url}/v1/ingest?name=other`, { method: "POST", body: CSV });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    gone.abort();
    expect(under_way).rejects.toThrow();
    await eventually(async () => (await running()) === 0 && scratch(lake).length === 0);
    expect(await dataFiles(lake, "slow")).toBeUndefined();
    expect((await send(lake.url, "name=other", CSV)).status).toBe(201);
  });

  test("stops at its deadline", async () => {
    const lake = await start({ LAKEHOUSE_INGESTD_TIMEOUT_MS: "1000" });
    const endless = new ReadableStream({
      async pull(controller) {
        await Bun.sleep(50);
        controller.enqueue(Buffer.from("1,2\n"));
      },
    });
    const { status } = await send(lake.url, "name=late", endless);
    expect(status).toBe(504);
    await eventually(() => scratch(lake).length <= 1);
  });
});

inBothCompositions("ingestd: races", (start) => {
  test("of racing makers one wins, and no append or upsert is lost", async () => {
    const lake = await start({ LAKEHOUSE_INGESTD_WORKERS: "4", LAKEHOUSE_INGESTD_THREADS: "1" });
    const makers = await Promise.all(
      [1, 2, 3, 4].map((n) => send(lake.url, "name=made", `id,v\n${n},made\n`)),
    );
    expect(makers.map((it) => it.status).sort()).toEqual([201, 409, 409, 409]);

    await send(lake.url, "name=raced&mode=upsert&key=id", "id,v\n0,first\n");
    const appends = [11, 12, 13].map((id) =>
      send(lake.url, "name=raced&mode=append", `id,v\n${id},appended\n`),
    );
    const upserts = [1, 2, 3].map((id) =>
      send(lake.url, "name=raced&mode=upsert", `id,v\n${id},new\n0,by ${id}\n`),
    );
    const all = await Promise.all([...appends, ...upserts]);
    expect(all.map((it) => it.status)).toEqual(all.map(() => 200));
    expect(await rowsOf(lake, "raced", "id")).toEqual(
      ["0", "1", "2", "3", "11", "12", "13"].map((it) => [it]),
    );
    expect(await rowsOf(lake, "raced", "starts_with(v, 'by ')", "id LIMIT 1")).toEqual([[true]]);
  });
});
