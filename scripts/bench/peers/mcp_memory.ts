/**
 * The reference memory server of the Model Context Protocol (npm), spoken to as its hosts do: a process of its own,
 * JSON-RPC in lines over standard input and output.
 */
import { join } from "node:path";
import { npmPackage } from "./install.ts";

const VERSION = "2026.8.31";
const PROTOCOL = "2025-06-18";

export interface McpMemory {
  /** Calls a tool. @returns what it answers, as structured content @throws Error with the tool's words */
  call<T>(tool: string, args: object): Promise<T>;
  stop(): Promise<void>;
}

interface Answer {
  readonly id?: number;
  readonly result?: { isError?: boolean; structuredContent?: unknown; content?: { text?: string }[] };
  readonly error?: { message: string };
}

/** @param file what it remembers, as JSON lines; several servers may be given the same, as several hosts do */
export async function mcpMemory(file: string): Promise<McpMemory> {
  const folder = await npmPackage("@modelcontextprotocol/server-memory", VERSION);
  const server = Bun.spawn(["node", join(folder, "dist", "index.js")], {
    env: { ...process.env, MEMORY_FILE_PATH: file },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
  });
  const waiting = new Map<number, (answer: Answer) => void>();
  const read = readAnswers(server.stdout, waiting);
  let last_id = 0;
  const send = (message: object) => {
    server.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
    return server.stdin.flush();
  };
  const ask = async (method: string, params: object) => {
    last_id += 1;
    const id = last_id;
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve));
    await send({ id, method, params });
    const { result, error } = await answered;
    if (error || result === undefined) throw new Error(`${method}: ${error?.message ?? "no result"}`);
    return result;
  };
  const clientInfo = { name: "lakehouse-bench", version: "1" };
  await ask("initialize", { protocolVersion: PROTOCOL, capabilities: {}, clientInfo });
  await send({ method: "notifications/initialized" });
  return {
    call: async <T>(tool: string, args: object) => {
      const result = await ask("tools/call", { name: tool, arguments: args });
      if (result.isError) throw new Error(`${tool}: ${result.content?.[0]?.text}`);
      return result.structuredContent as T;
    },
    stop: async () => {
      server.kill("SIGTERM");
      await server.exited;
      await read;
    },
  };
}

/** Hands each line to whom it answers; at the end of the output whoever still waits is told. */
async function readAnswers(
  output: ReadableStream<Uint8Array>,
  waiting: Map<number, (answer: Answer) => void>,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of output) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const answer = JSON.parse(line) as Answer;
      if (answer.id === undefined) continue;
      waiting.get(answer.id)?.(answer);
      waiting.delete(answer.id);
    }
  }
  for (const tell of waiting.values()) tell({ error: { message: "the server has ended" } });
}
