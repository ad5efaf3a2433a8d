/** The state of every service behind a listener, asked for at most a few times a second. */
import type { Health, Service } from "./shared/service.ts";

export type ServiceHealth = Health & { mode: "mounted" | "forwarded" };

export interface HealthReport {
  status: Health["status"];
  services: Record<string, ServiceHealth>;
}

export interface HealthSources {
  readonly services: ReadonlyMap<string, Service<unknown>>;
  readonly upstreams: readonly { readonly name: string; readonly base_url: string }[];
}

const UPSTREAM_TIMEOUT_MS = 1000;
/** So that a storm of health checks is one check of each service. */
const KEPT_MS = 200;

export function createHealth({ services, upstreams }: HealthSources): () => Promise<HealthReport> {
  let held: { report: Promise<HealthReport>; made_ms: number } | undefined;

  async function ask(): Promise<HealthReport> {
    const mounted = [...services].map(
      async ([name, service]) => [name, { ...(await service.health()), mode: "mounted" }] as const,
    );
    const forwarded = upstreams.map(
      async ({ name, base_url }) =>
        [name, { ...(await upstreamHealth(name, base_url)), mode: "forwarded" }] as const,
    );
    const reports = await Promise.all([...mounted, ...forwarded]);
    return {
      status: overall(reports.map(([, { status }]) => status)),
      services: Object.fromEntries(reports),
    };
  }

  return () => {
    const now_ms = performance.now();
    if (!held || now_ms - held.made_ms > KEPT_MS) held = { report: ask(), made_ms: now_ms };
    return held.report;
  };
}

/** A service alone tells its own state; among several, one that fails degrades the whole. */
function overall(statuses: readonly Health["status"][]): Health["status"] {
  if (statuses.every((status) => status === "ok")) return "ok";
  return statuses.every((status) => status === "down") ? "down" : "degraded";
}

async function upstreamHealth(name: string, base_url: string): Promise<Health> {
  try {
    const response = await fetch(new URL("/health", base_url), {
      signal: AbortSignal.timeout(UPSTREAM_TIMEOUT_MS),
    });
    const report = (await response.json()) as { services?: Record<string, Health> };
    return report.services?.[name] ?? { status: "down", reason: `what answers at ${base_url} is no ${name}` };
  } catch {
    return { status: "down", reason: `not reachable at ${base_url}` };
  }
}
