/** Every service and the gateway as processes of their own, under one supervisor: for development. */
import { resolve } from "node:path";
import { serviceNames, type Target } from "../src/services/index.ts";

const MAIN = resolve(import.meta.dir, "../src/main.ts");
const LISTENING = /^listening (http:\/\/\S+)$/;
const RESTART_AFTER_MS = 500;
/** So many ends without being asked, in so long, and the supervisor gives up. */
const ENDS_ALLOWED = 5;
const ENDS_WITHIN_MS = 60_000;

const running = new Map<Target, { pid: number; exited: Promise<number>; end(): void }>();
/** What the next processes are told: where the services are, and the addresses that restarts keep. */
const urls: Record<string, string> = {};
const binds: Record<string, string> = {};
const ends_ms: number[] = [];
let stopping = false;

/** Starts one target and returns when it listens. @throws Error where it ends before */
async function start(target: Target, args: string[]): Promise<void> {
  const child = Bun.spawn([process.execPath, MAIN, target, ...args], {
    env: { ...environmentOf(target), ...urls, ...binds },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  running.set(target, { pid: child.pid, exited: child.exited, end: () => child.kill("SIGTERM") });
  await new Promise<void>((ready, refuse) => {
    tell(target, child.stdout, (url) => {
      const name = target.toUpperCase();
      if (target !== "gateway") urls[`LAKEHOUSE_GATEWAY_${name}_URL`] = url;
      binds[`LAKEHOUSE_${name}_BIND`] = new URL(url).host;
      ready();
    });
    child.exited.then((code) =>
      refuse(new Error(`${target} ended with exit code ${code} before it listened`)),
    );
  });
  child.exited.then((code) => revive(target, args, code));
}

/** Without the other services' binds, which may be free ports: a service is told where its neighbours are. */
function environmentOf(target: Target): Record<string, string | undefined> {
  const others = serviceNames
    .filter((name) => name !== target)
    .map((name) => `LAKEHOUSE_${name.toUpperCase()}_BIND`);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !others.includes(name)));
}

/** The gateway's own lines go to standard output, the address first; the services' lines to standard error. */
async function tell(target: Target, output: ReadableStream<Uint8Array>, listening: (url: string) => void) {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of output) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (target === "gateway") console.log(line);
      else console.error(`${target.padEnd(9)} ${line}`);
      const url = LISTENING.exec(line)?.[1];
      if (url) listening(url);
    }
  }
}

/** A process that ends without being asked is started again, at the address it had. */
async function revive(target: Target, args: string[], code: number): Promise<void> {
  running.delete(target);
  if (stopping) return;
  const now_ms = Date.now();
  ends_ms.push(now_ms);
  const recent = ends_ms.filter((at_ms) => now_ms - at_ms < ENDS_WITHIN_MS).length;
  console.error(`${target} ended with exit code ${code}`);
  if (recent > ENDS_ALLOWED) return stop(1);
  await Bun.sleep(RESTART_AFTER_MS);
  if (!stopping) await start(target, args).catch((error: Error) => stop(1, error.message));
}

/** The gateway first, so that nothing new comes in while what is under way is finished. */
async function stop(code: number, reason?: string): Promise<void> {
  if (stopping) return;
  stopping = true;
  if (reason) console.error(reason);
  for (const target of ["gateway", ...serviceNames.toReversed()] as Target[]) {
    const it = running.get(target);
    it?.end();
    await it?.exited;
  }
  process.exit(code);
}

process.on("SIGTERM", () => stop(0));
process.on("SIGINT", () => stop(0));
try {
  for (const target of [...serviceNames, "gateway"] as Target[])
    if (!stopping) await start(target, process.argv.slice(2));
} catch (error) {
  await stop(1, (error as Error).message);
}
