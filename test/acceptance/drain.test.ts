import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startProcesses } from "../support/processes.ts";

const RUNS = 50;
const CONNECTIONS = 16;
const directories: string[] = [];

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

interface Load {
  sent: number;
  answered: number;
  /** Requests that got no whole answer though they were sent on a connection the server had taken. */
  failed: string[];
  ended: Promise<void>;
}

/**
 * Connections that send one event after another, each as soon as the last is answered, until the server
 * closes them. All are open and have had an answer before the signal, so each of their requests counts.
 */
function load(url: string, run: number): Load {
  const result: Load = { sent: 0, answered: 0, failed: [], ended: Promise.resolve() };
  const ends = Array.from({ length: CONNECTIONS }, (_, at) => sendOn(url, `${run}-${at}`, result));
  result.ended = Promise.all(ends).then(() => {});
  return result;
}

function sendOn(url: string, name: string, result: Load): Promise<void> {
  const { hostname, port, host } = new URL(url);
  return new Promise((resolve) => {
    const socket: Socket = connect(Number(port), hostname);
    let count = 0;
    let text = "";
    let is_waiting = false;
    const send = () => {
      const body = JSON.stringify({ id: `${name}-${++count}`, endpoint: "/drain", success: true });
      result.sent++;
      is_waiting = true;
      socket.write(
        `POST /v1/observer/event HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    };
    socket.on("connect", send);
    socket.on("data", (chunk) => {
      text += chunk;
      const end = text.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1]);
      if (end < 0 || text.length < end + 4 + length) return;
      is_waiting = false;
      if (text.startsWith("HTTP/1.1 200 ")) result.answered++;
      else result.failed.push(text);
      const is_last = /connection: close/i.test(text.slice(0, end));
      text = "";
      if (is_last) socket.end();
      else send();
    });
    socket.on("error", () => {}); // judged at close
    socket.on("close", () => {
      if (is_waiting) result.failed.push(`request ${count} of ${name} was cut`);
      resolve();
    });
  });
}

test(`SIGTERM under load, ${RUNS} times, cuts no request and exits 0`, async () => {
  const data_dir = mkdtempSync(join(tmpdir(), "lakehouse-drain-"));
  directories.push(data_dir);
  for (let run = 0; run < RUNS; run++) {
    const processes = await startProcesses("mounted", {}, data_dir);
    const traffic = load(processes.url, run);
    while (traffic.answered < CONNECTIONS * 4) await Bun.sleep(2);
    await Bun.sleep((run * 7) % 40);
    expect(await processes.kill("all", "SIGTERM")).toBe(0);
    await traffic.ended;
    expect(traffic.failed).toEqual([]);
    expect(traffic.answered).toBe(traffic.sent);
  }
}, 120_000);

test("every process of the forwarded composition drains: the gateway under load, then each service", async () => {
  const processes = await startProcesses("forwarded");
  directories.push(processes.data_dir);
  const traffic = load(processes.url, 0);
  while (traffic.answered < CONNECTIONS * 4) await Bun.sleep(2);
  expect(await processes.kill("gateway", "SIGTERM")).toBe(0);
  await traffic.ended;
  expect(traffic.failed).toEqual([]);
  expect(await processes.kill("observerd", "SIGTERM")).toBe(0);
  await processes.stop();
}, 60_000);

test("a request that outlives drain_ms is cut, said so, and the exit code is 1", async () => {
  const processes = await startProcesses("mounted", { LAKEHOUSE_DRAIN_MS: "300" });
  directories.push(processes.data_dir);
  const { hostname, port, host } = new URL(processes.url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {}); // it is cut: that is the point
  socket.write(
    `POST /v1/observer/event HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`,
  );
  await Bun.sleep(100);
  expect(await processes.kill("all", "SIGTERM")).toBe(1);
  expect(processes.stderr("all")).toContain('"cut":["POST /v1/observer/event ');
  socket.destroy();
}, 30_000);
