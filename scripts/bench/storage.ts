/**
 * storaged through the single runtime: durable PUTs against plain durable writes of the same bytes in
 * this process (write, fsync, rename, fsync of the directory), and GETs against nginx serving the same
 * files. Needs nginx and wrk.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { syncDirectory } from "../../src/shared/files.ts";
import { has, startBun } from "./load.ts";
import { median, printRows, type Row } from "./row.ts";
import { requestsPerSecond, waitFor } from "./wrk.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const ROUNDS = 5;
const SECONDS = 2;

interface Writes {
  what: string;
  bytes: number;
  count: number;
  at_a_time: number;
  target: number;
}

const WRITES: Writes[] = [
  { what: "PUT of 16 KiB, 32 at a time", bytes: 16 * KIB, count: 640, at_a_time: 32, target: 0.5 },
  { what: "PUT of 128 MiB", bytes: 128 * MIB, count: 1, at_a_time: 1, target: 0.5 },
];
const READS = [
  { what: "GET of 16 KiB, 64 connections", bytes: 16 * KIB, connections: 64, target: 0.3 },
  { what: "GET of 16 MiB, 4 connections", bytes: 16 * MIB, connections: 4, target: 0.8 },
];

export async function run(rounds = ROUNDS, seconds = SECONDS): Promise<Row[]> {
  for (const program of ["wrk", "nginx"])
    if (!has(program)) throw new Error(`this benchmark needs ${program}; install it and run again`);
  const directory = mkdtempSync(join(tmpdir(), "lakehouse-bench-storage-"));
  const lake = await startBun(["src/main.ts", "all"], { LAKEHOUSE_GATEWAY_BIND: "127.0.0.1:0" });
  const files = await startFiles(directory);
  try {
    const rows: Row[] = [];
    for (const it of WRITES) rows.push(await compareWrites(it, lake.url, directory, rounds));
    for (const { what, bytes, connections, target } of READS) {
      const body = crypto.getRandomValues(new Uint8Array(KIB));
      const whole = new Uint8Array(bytes).map((_, at) => body[at % KIB] as number);
      await put(`${lake.url}/v1/storage/put/read-${bytes}`, whole);
      writeFileSync(join(directory, `read-${bytes}`), whole);
      const paces = { ours: [] as number[], nginx: [] as number[] };
      for (let round = -1; round < rounds; round++)
        for (const [name, url] of [
          ["ours", `${lake.url}/v1/storage/get/read-${bytes}`],
          ["nginx", `${files.url}/read-${bytes}`],
        ] as const) {
          const requests_per_s = await requestsPerSecond(url, undefined, { connections, seconds });
          if (round >= 0) paces[name].push((requests_per_s * bytes) / MIB);
        }
      rows.push(row(what, target, "nginx's static file", median(paces.ours), median(paces.nginx)));
    }
    return rows;
  } finally {
    await lake.stop();
    await files.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function compareWrites(it: Writes, url: string, directory: string, rounds: number): Promise<Row> {
  const body = crypto.getRandomValues(new Uint8Array(64 * KIB));
  const whole = new Uint8Array(it.bytes).map((_, at) => body[at % body.length] as number);
  const paces = { ours: [] as number[], plain: [] as number[] };
  for (let round = -1; round < rounds; round++) {
    const ours = await pace(it, (n) => put(`${url}/v1/storage/put/write-${it.bytes}/${n}`, whole));
    const plain = await pace(it, (n) => plainWrite(directory, `write-${it.bytes}-${n}`, whole));
    if (round < 0) continue;
    paces.ours.push(ours);
    paces.plain.push(plain);
  }
  return row(
    it.what,
    it.target,
    "the same bytes written, synced and renamed here",
    median(paces.ours),
    median(paces.plain),
  );
}

/** MiB a second of `count` writes, so many at a time. */
async function pace(it: Writes, write: (n: number) => Promise<void>): Promise<number> {
  let next = 0;
  const began_ms = performance.now();
  const worker = async () => {
    while (next < it.count) await write(next++);
  };
  await Promise.all(Array.from({ length: it.at_a_time }, worker));
  return (it.count * it.bytes) / MIB / ((performance.now() - began_ms) / 1000);
}

async function put(url: string, body: Uint8Array<ArrayBuffer>): Promise<void> {
  const answer = await fetch(url, { method: "PUT", body });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  await answer.bytes();
}

async function plainWrite(directory: string, name: string, body: Uint8Array): Promise<void> {
  const path = join(directory, name);
  const file = await open(`${path}.tmp`, "w");
  await file.write(body);
  await file.sync();
  await file.close();
  await rename(`${path}.tmp`, path);
  await syncDirectory(directory);
}

function row(what: string, target: number, reference: string, ours: number, theirs: number): Row {
  return {
    what: `${what}, against ${reference}`,
    target: `≥ ${target} ×`,
    measured: `${(ours / theirs).toFixed(2)} ×`,
    met: ours >= target * theirs,
    detail: `MiB a second: ours ${Math.round(ours)}, reference ${Math.round(theirs)}`,
  };
}

/** nginx serving the files of a directory. */
async function startFiles(directory: string): Promise<{ url: string; stop(): Promise<void> }> {
  const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const { port } = free;
  free.stop(true);
  chmodSync(directory, 0o755);
  const config = join(directory, "nginx.conf");
  writeFileSync(
    config,
    `daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error.log;
events { worker_connections 1024; }
http { access_log off; sendfile on; keepalive_requests 1000000000;
  client_body_temp_path ${directory}; proxy_temp_path ${directory}; fastcgi_temp_path ${directory};
  uwsgi_temp_path ${directory}; scgi_temp_path ${directory};
  server { listen 127.0.0.1:${port}; root ${directory}; } }`,
  );
  const nginx = Bun.spawn(["nginx", "-p", directory, "-c", config], { stdout: "ignore", stderr: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  await waitFor(`${url}/nginx.conf`);
  return {
    url,
    stop: async () => {
      nginx.kill();
      await nginx.exited;
    },
  };
}

if (import.meta.main) printRows(await run());
