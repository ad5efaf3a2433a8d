/** The edge, and nothing but the edge: /v1, health, metrics, docs; mounts what is here and forwards the rest. */
import { Elysia } from "elysia";
import packageJson from "../package.json";
import type { Target } from "./compose.ts";
import type { Config } from "./config.ts";
import type { ServiceName } from "./services/index.ts";
import { createForward } from "./shared/forward.ts";
import type { Door, Traced } from "./shared/http.ts";
import type { Metrics } from "./shared/metrics.ts";
import type { Health, Service } from "./shared/service.ts";

export interface Upstream {
  readonly name: ServiceName;
  readonly prefixes: readonly string[];
  readonly base_url: string;
}

export interface GatewayOptions {
  readonly config: Config;
  readonly target: Target;
  readonly door: Door;
  readonly metrics: Metrics;
  readonly services: ReadonlyMap<ServiceName, Service<unknown>>;
  readonly upstreams: readonly Upstream[];
}

const HEALTH_TIMEOUT_MS = 1000;

export function createGateway({ config, target, door, metrics, services, upstreams }: GatewayOptions) {
  const started_ms = performance.now();
  const at_edge = target === "all" || target === "gateway";

  async function health() {
    const report: Record<string, Health & { mode: "mounted" | "forwarded" }> = {};
    for (const [name, service] of services) report[name] = { ...(await service.health()), mode: "mounted" };
    await Promise.all(
      upstreams.map(async ({ name, base_url }) => {
        report[name] = { ...(await upstreamHealth(name, base_url)), mode: "forwarded" };
      }),
    );
    const statuses = Object.values(report).map((service) => service.status);
    const status = statuses.every((it) => it === "ok")
      ? "ok"
      : statuses.length === 1
        ? statuses[0]
        : "degraded";
    return {
      status,
      version: packageJson.version,
      uptime_ms: Math.round(performance.now() - started_ms),
      services: report,
    };
  }

  const app = new Elysia({ normalize: false })
    .get("/health", async ({ set }) => {
      const report = await health();
      if (report.status === "down") set.status = 503;
      return report;
    })
    .get(
      "/metrics",
      async ({ set }) => {
        set.headers["content-type"] = "text/plain; version=0.0.4; charset=utf-8";
        return metrics.text();
      },
      door.needs("gateway:read"),
    );

  for (const service of services.values())
    if (at_edge) app.use(new Elysia({ prefix: "/v1", normalize: false }).use(service.routes));
    else app.use(service.routes);

  for (const { name, prefixes, base_url } of upstreams) {
    const forward = createForward({ service: name, base_url, timeout_ms: config.gateway.timeout_ms });
    for (const prefix of prefixes)
      for (const path of [`/v1/${prefix}`, `/v1/${prefix}/*`])
        app.all(
          path,
          (context) => {
            const { request, server } = context;
            door.principal(request);
            const { request_id } = context as unknown as Traced;
            const rest = request.url.slice(request.url.indexOf("/v1/") + 3);
            return forward(request, rest, request_id, server?.requestIP(request)?.address ?? "");
          },
          { parse: "none" },
        );
  }
  return app;
}

async function upstreamHealth(name: ServiceName, base_url: string): Promise<Health> {
  try {
    const response = await fetch(`${base_url.replace(/\/$/, "")}/health`, {
      signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS),
    });
    const report = (await response.json()) as { services?: Record<string, Health> };
    return report.services?.[name] ?? { status: "down", reason: "its health answer does not name it" };
  } catch {
    return { status: "down", reason: "not reachable" };
  }
}
