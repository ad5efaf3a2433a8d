/**
 * The gateway in front of a service in another process, against nginx in front of the same service:
 * small GET and small POST over 64 kept connections, with wrk. Needs nginx and wrk (apt-get install both).
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { socketPath } from "../../src/shared/socket_path.ts";
import { median, printRows, type Row } from "./row.ts";
import { requestsPerSecond, SMALL_EVENT, waitFor } from "./wrk.ts";

const ROUNDS = 5;
const MAIN = resolve(import.meta.dir, "../../src/main.ts");
const TARGET = 0.9;

/** Answers like a service whose work costs nothing, on its port and on the Unix socket beside it. */
const UPSTREAM = `
const answer = async (request) =>
  request.method === "POST"
    ? Response.json({ accepted: true, id: (await request.json()).id, ring_size: 1 })
    : Response.json({ status: "ok", ring_size: 1, persisted: true });
const [port, unix] = process.argv.slice(-2);
Bun.serve({ hostname: "127.0.0.1", port, fetch: answer });
Bun.serve({ unix, fetch: answer });
`;

export async function run(): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), "lakehouse-bench-"));
  const spawned: Bun.Subprocess[] = [];
  try {
    const [upstream, beside, plain, proxy, proxy_unix] = freePorts(5) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const socket = socketPath(directory, "observerd", upstream) as string;
    mkdirSync(dirname(socket), { recursive: true });
    const script = join(directory, "upstream.ts");
    writeFileSync(script, UPSTREAM);
    spawned.push(Bun.spawn([process.execPath, script, String(upstream), socket], { stdio: QUIET }));
    spawned.push(gateway(upstream, beside, directory), gateway(upstream, plain, join(directory, "tcp")));
    await waitFor(`http://127.0.0.1:${upstream}/observer/stats`);
    chmodSync(directory, 0o755);
    chmodSync(dirname(socket), 0o755);
    chmodSync(socket, 0o777);
    for (const [port, to] of [
      [proxy, `127.0.0.1:${upstream}`],
      [proxy_unix, `unix:${socket}`],
    ] as const)
      spawned.push(nginx(directory, port, to));
    const ports = { gateway: beside, gateway_tcp: plain, nginx: proxy, nginx_unix: proxy_unix };
    for (const port of Object.values(ports)) await waitFor(`http://127.0.0.1:${port}/v1/observer/stats`);
    return [await compare("GET", ports), await compare("POST", ports)];
  } finally {
    for (const process of spawned) process.kill();
    await Promise.all(spawned.map((process) => process.exited));
    rmSync(directory, { recursive: true, force: true });
  }
}

const QUIET = ["ignore", "ignore", "ignore"] as ["ignore", "ignore", "ignore"];

async function compare(method: "GET" | "POST", ports: Record<string, number>): Promise<Row> {
  const path = method === "GET" ? "/v1/observer/stats" : "/v1/observer/event";
  const paces: Record<string, number[]> = {};
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, port] of Object.entries(ports)) {
      const pace = await requestsPerSecond(
        `http://127.0.0.1:${port}${path}`,
        method === "POST" ? SMALL_EVENT : undefined,
      );
      paces[name] = [...(paces[name] ?? []), pace];
    }
  const pace = (name: string) => median(paces[name] ?? []);
  const ratio = pace("gateway") / pace("nginx");
  const shown = (name: string) => `${name.replace("_", " over ")} ${Math.round(pace(name))}/s`;
  return {
    what: `forwarding a small ${method}, 64 connections`,
    target: `at least ${TARGET} × nginx over the same upstream`,
    measured: `${ratio.toFixed(2)} ×`,
    met: ratio >= TARGET,
    detail: `${Object.keys(ports).map(shown).join(", ")}; the gateway takes the Unix socket beside the port by itself`,
  };
}

/** As a user starts it; its log and its witness are on, as they are by default. */
function gateway(upstream: number, port: number, data_dir: string): Bun.Subprocess {
  return Bun.spawn([process.execPath, MAIN, "gateway"], {
    cwd: dirname(MAIN),
    stdio: QUIET,
    env: {
      ...process.env,
      LAKEHOUSE_DATA_DIR: data_dir,
      LAKEHOUSE_GATEWAY_BIND: `127.0.0.1:${port}`,
      LAKEHOUSE_GATEWAY_OBSERVERD_URL: `http://127.0.0.1:${upstream}`,
    },
  });
}

/** The same duties: kept connections to the upstream, forwarding headers, a request id; no access log. */
function nginx(directory: string, port: number, upstream: string): Bun.Subprocess {
  const path = join(directory, `nginx-${port}.conf`);
  writeFileSync(
    path,
    `worker_processes auto; daemon off; pid ${directory}/nginx-${port}.pid; error_log ${directory}/nginx.log;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000;
  upstream service { server ${upstream}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location /v1/ {
      proxy_pass http://service/; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $host; proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id; add_header X-Request-Id $request_id;
    }
  }
}`,
  );
  return Bun.spawn(["nginx", "-c", path], { stdio: QUIET });
}

function freePorts(count: number): number[] {
  const servers = Array.from({ length: count }, () =>
    Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }),
  );
  const ports = servers.map((server) => server.port);
  for (const server of servers) server.stop(true);
  return ports;
}

if (import.meta.main) printRows(await run());
