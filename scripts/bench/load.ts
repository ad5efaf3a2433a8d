/** A server, and nginx before it, each in a process of its own: what HTTP benchmarks need. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const REPOSITORY = join(import.meta.dir, "..", "..");

export interface Running {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts `bun <args>` in a directory of its own and waits for its `listening <url>`. */
export async function startBun(args: string[], env: Record<string, string> = {}): Promise<Running> {
  const directory = mkdtempSync(join(tmpdir(), "lakehouse-bench-"));
  const child = Bun.spawn([process.execPath, ...args], {
    cwd: REPOSITORY,
    env: { ...process.env, LAKEHOUSE_DATA_DIR: directory, LAKEHOUSE_LOG_LEVEL: "error", ...env },
    stdout: "pipe",
    stderr: "inherit",
  });
  const url = await listening(child.stdout);
  return runningIn(directory, url, child);
}

function runningIn(directory: string, url: string, child: Bun.Subprocess): Running {
  return {
    url,
    pid: child.pid,
    stop: async () => {
      child.kill("SIGTERM");
      await child.exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function listening(output: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  const reader = output.getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the server ended before it listened: ${text}`);
    text += decoder.decode(value, { stream: true });
    const found = /^listening (\S+)$/m.exec(text);
    if (found) {
      reader.releaseLock();
      return found[1] as string;
    }
  }
}

/** nginx in front of `upstream`, one worker, connections kept alive both ways. */
export async function startNginx(upstream: string): Promise<Running> {
  const directory = mkdtempSync(join(tmpdir(), "lakehouse-nginx-"));
  const port = freePort();
  const config = join(directory, "nginx.conf");
  writeFileSync(
    config,
    `daemon off; worker_processes 1; pid ${directory}/pid; error_log ${directory}/error.log;
events { worker_connections 4096; }
http {
  access_log off; client_body_temp_path ${directory}; proxy_temp_path ${directory}; fastcgi_temp_path ${directory};
  uwsgi_temp_path ${directory}; scgi_temp_path ${directory}; keepalive_requests 1000000000;
  upstream origin { server ${new URL(upstream).host}; keepalive 256; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port};
    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}`,
  );
  const child = Bun.spawn(["nginx", "-p", directory, "-c", config], { stdout: "ignore", stderr: "ignore" });
  const url = `http://127.0.0.1:${port}`;
  await answering(url);
  return runningIn(directory, url, child);
}

/** A port that was free just now. */
export function freePort(): number {
  const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  server.stop(true);
  return server.port;
}

async function answering(url: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    try {
      await fetch(url);
      return;
    } catch {
      await Bun.sleep(20);
    }
  }
  throw new Error(`${url} does not answer`);
}

/** Whether a program is there to be run. */
export function has(program: string): boolean {
  return Bun.which(program) !== null;
}
