/** The edge's own routes, health, metrics and docs, and the services mounted behind it. */
import { Elysia } from "elysia";
import packageJson from "../package.json";
import { swaggerUi } from "./docs.ts";
import { createHealth } from "./health.ts";
import { openApi } from "./openapi.ts";
import type { ServiceName, Target } from "./services/index.ts";
import { exactBodies } from "./shared/exact_bodies.ts";
import type { Door } from "./shared/http.ts";
import type { Metrics } from "./shared/metrics.ts";
import { problemAnswers } from "./shared/openapi_schema.ts";
import type { Service } from "./shared/service.ts";

export interface Upstream {
  readonly name: ServiceName;
  readonly base_url: string;
}

export interface GatewayOptions {
  readonly target: Target;
  readonly door: Door;
  readonly metrics: Metrics;
  readonly services: ReadonlyMap<ServiceName, Service<unknown>>;
  readonly upstreams: readonly Upstream[];
}

/** The one public door where the target is `all` or `gateway`; else a service on its own port, without /v1. */
export function createGateway({ target, door, metrics, services, upstreams }: GatewayOptions) {
  const started_ms = performance.now();
  const is_gateway = target === "all" || target === "gateway";
  const prefix = is_gateway ? "/v1" : "";
  const health = createHealth({ services, upstreams });

  const app = new Elysia({ normalize: false })
    .get(
      "/health",
      async ({ set }) => {
        const { status, services } = await health();
        if (status === "down") set.status = 503;
        const uptime_ms = Math.round(performance.now() - started_ms);
        return { status, version: packageJson.version, uptime_ms, services };
      },
      { detail: HEALTH },
    )
    .get(
      "/metrics",
      async ({ set }) => {
        set.headers["content-type"] = "text/plain; version=0.0.4; charset=utf-8";
        return metrics.text();
      },
      { ...door.needs(`${is_gateway ? "gateway" : target}:read`), detail: METRICS },
    );

  if (is_gateway) app.get("/", ({ redirect }) => redirect("/swagger", 302), { detail: { hide: true } });
  for (const service of services.values()) {
    const routes = exactBodies(service.routes);
    app.use(is_gateway ? new Elysia({ prefix, normalize: false }).use(routes) : routes);
  }
  const document = openApi({ app, services: services.values(), prefix, upstreams });
  return new Elysia({ normalize: false })
    .use(app)
    .use(swaggerUi())
    .get("/swagger/json", () => document(), { detail: { hide: true } });
}

const HEALTH = {
  tags: ["gateway"],
  summary: "Tell the state of every service",
  description: "200 while anything works (`degraded` where a service does not), 503 when nothing does.",
  security: [],
  responses: { 200: { description: "ok or degraded" }, 503: { description: "down" } },
};

const METRICS = {
  tags: ["gateway"],
  summary: "Metrics for Prometheus",
  description: "Durations by service and route, queues, journals and workers, in Prometheus' text format.",
  responses: {
    200: { description: "Metrics", content: { "text/plain": {} } },
    ...problemAnswers([401, 403]),
  },
};
