/** wrk, the load generator of the HTTP benchmarks: 64 connections for a second unless told otherwise. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const SMALL_EVENT = JSON.stringify({
  endpoint: "/v1/sql",
  source: "mcp",
  success: true,
  duration_ms: 12.5,
  input_summary: "select count(*) from cars",
});

export interface WrkOptions {
  headers?: Record<string, string>;
  seconds?: number;
  connections?: number;
}

/**
 * Requests a second that were answered 2xx or 3xx.
 * @param json posted where given; a GET otherwise
 * @throws Error where any request failed: a pace that includes failures says nothing
 */
export async function requestsPerSecond(
  url: string,
  json?: string,
  { headers = {}, seconds = 1, connections = 64 }: WrkOptions = {},
): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "wrk-"));
  try {
    const script = join(directory, "request.lua");
    const lines = json === undefined ? [] : [`wrk.method = "POST"`, `wrk.body = [==[${json}]==]`];
    const all = json === undefined ? headers : { "content-type": "application/json", ...headers };
    for (const [name, value] of Object.entries(all)) lines.push(`wrk.headers["${name}"] = "${value}"`);
    writeFileSync(script, lines.join("\n"));
    const command = ["wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, url];
    const wrk = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
    const output = await new Response(wrk.stdout).text();
    if (/Non-2xx|Socket errors/.test(output)) throw new Error(`requests failed at ${url}:\n${output}`);
    const pace = Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]);
    if (!(pace > 0)) throw new Error(`wrk measured nothing at ${url}:\n${output}`);
    return pace;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Waits until something answers. @throws Error after ten seconds */
export async function waitFor(url: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      const response = await fetch(url);
      if (response.ok) return;
    } catch {
      // not yet
    }
    await Bun.sleep(50);
  }
  throw new Error(`nothing answers at ${url}`);
}
