/** A deterministic stand-in for an Ollama server, for tests and demos: bun run fake_ollama [--port 11435] */
import { parseArgs } from "node:util";
import { startFakeOllama } from "./fake_ollama/server.ts";

const DEFAULT_PORT = "11435";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: DEFAULT_PORT },
    hostname: { type: "string", default: "127.0.0.1" },
  },
});
const port = Number(values.port);
if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  console.error(`--port must be a number from 0 to 65535 (got ${JSON.stringify(values.port)})`);
  process.exit(1);
}
const fake = startFakeOllama({ port, hostname: values.hostname });
console.log(`listening ${fake.url}`);
for (const signal of ["SIGTERM", "SIGINT"] as const)
  process.on(signal, async () => {
    await fake.stop();
    process.exit(0);
  });
