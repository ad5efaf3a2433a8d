/**
 * Builds what a target asks for. The only place that knows whether a service is here or elsewhere:
 * in `all`, a service without a URL in [gateway] is mounted and one with a URL is forwarded to; in
 * every other target nothing but the named service is built, and each neighbour is called at its URL
 * or, where none is given, at its own bind.
 */
import "./shared/production.ts";
import { isIP } from "node:net";
import { Elysia } from "elysia";
import { type Config, ConfigError, isLoopback, parseBind } from "./config.ts";
import { createGateway, type Upstream } from "./gateway.ts";
import { type Interfaces, registry, type ServiceName, type Target } from "./services/index.ts";
import { bodyAdapter } from "./shared/body_parsing.ts";
import { createHttpClient } from "./shared/client.ts";
import { Edge, type ForwardedPrefix } from "./shared/edge.ts";
import { createForward } from "./shared/forward.ts";
import { conventions, createDoor } from "./shared/http.ts";
import { KeyRing, serviceToken } from "./shared/keys.ts";
import type { Log } from "./shared/log.ts";
import { Metrics } from "./shared/metrics.ts";
import type { Service } from "./shared/service.ts";
import { socketPath } from "./shared/socket_path.ts";
import { Witness } from "./witness.ts";

/** A composition, ready to listen. */
export interface House {
  readonly edge: Edge;
  readonly app: Elysia;
  readonly target: Target;
  readonly hostname: string;
  readonly port: number;
  /** Closes every service built here, last first. */
  close(): Promise<void>;
}

/** How much longer a forwarded call may take than the service gives itself, so that its own answer comes. */
const FORWARD_GRACE_MS = 1000;

/** A service of the registry, and the address of the process that runs it; undefined for this one. */
interface Place {
  readonly it: (typeof registry)[number];
  readonly base_url: string | undefined;
}

/**
 * Where a target listens, and where each service of it is.
 * @throws ConfigError where the settings can't be composed
 */
export function place(config: Config, target: Target) {
  const places = registry.map((it): Place => {
    const url = config.gateway[`${it.name}_url`];
    if (target === "all" ? url === "" : target === it.name) return { it, base_url: undefined };
    if (target === "all") refuseStranded(it.name, it.needs, config);
    return { it, base_url: url || ownAddress(it.name, config) };
  });
  return { ...listenAddress(config, target), places };
}

/** @throws ConfigError where the settings can't be composed */
export async function compose(config: Config, target: Target, log: Log): Promise<House> {
  const { hostname, port, places } = place(config, target);
  const metrics = new Metrics();
  const service_token = serviceToken(config.data_dir);
  const keys = new KeyRing(config.keys, service_token);
  const door = createDoor(keys);
  const services = new Map<ServiceName, Service<unknown>>();
  const interfaces: Partial<Interfaces> = {};
  const upstreams: Upstream[] = [];

  for (const { it, base_url } of places) {
    if (base_url === undefined) {
      const context = { config, log: log.child({ service: it.name }), metrics, door };
      const service = await it.create(context, interfaces as Interfaces);
      services.set(it.name, service);
      Object.assign(interfaces, { [it.name]: service.domain });
      continue;
    }
    const { timeout_ms } = config.gateway;
    const http = createHttpClient({ service: it.name, base_url, service_token, timeout_ms });
    Object.assign(interfaces, { [it.name]: it.client(http) });
    upstreams.push({ name: it.name, base_url });
  }

  const is_gateway = target === "all" || target === "gateway";
  const reached = is_gateway ? upstreams : [];
  const witness =
    is_gateway && config.gateway.witness
      ? new Witness({
          observerd: (interfaces as Interfaces).observerd,
          queue: config.gateway.witness_queue,
          log: log.child({ service: "gateway" }),
          metrics,
        })
      : undefined;
  let edge: Edge | undefined;
  const requestId = (request: Request) => edge?.requestIdOf(request) ?? "";
  const app = new Elysia({ normalize: false, handler: { standardHostname: false }, adapter: bodyAdapter })
    .use(conventions({ log, max_json_bytes: config.max_json_bytes, requestId }))
    .use(createGateway({ target, door, metrics, services, upstreams: reached }));
  const forwards = reached.flatMap((upstream) => forwardsTo(upstream, config, hostname));
  edge = new Edge({
    log,
    metrics,
    keys,
    app,
    forwards,
    max_body_bytes: largestBody(config),
    max_held_bytes: config.max_held_bytes,
    serviceOf: (path) => serviceAt(path) ?? (is_gateway ? "gateway" : target),
    witness: witness?.note,
  });
  const close = async () => {
    await witness?.close();
    for (const { close } of forwards) close();
    for (const service of [...services.values()].reverse()) await service.close();
  };
  return { edge, app: app as unknown as Elysia, target, hostname, port, close };
}

/** @throws ConfigError where a service takes a free port, which no other process can guess */
function ownAddress(name: ServiceName, config: Config): string {
  const { bind } = config[name];
  if (bind.endsWith(":0"))
    throw new ConfigError(
      `gateway.${name}_url must be set, since ${name}.bind takes a free port (got "${bind}")`,
    );
  return `http://${bind}`;
}

function listenAddress(config: Config, target: Target): { hostname: string; port: number } {
  const name = target === "all" ? "gateway" : target;
  const address = parseBind(config[name].bind);
  if (!address) throw new ConfigError(`${name}.bind must be host:port (got "${config[name].bind}")`);
  if (!isLoopback(address.hostname) && config.keys.length === 0)
    throw new ConfigError(
      `${name}.bind reaches beyond this machine (got "${config[name].bind}") and no key is configured; make one with: npm start -- key create --name admin --scopes '*'`,
    );
  return address;
}

/** A forwarded service reaches its neighbours at their own ports, which `all` doesn't open. */
function refuseStranded(name: ServiceName, needs: readonly ServiceName[], config: Config): void {
  for (const need of needs)
    if (config.gateway[`${need}_url`] === "")
      throw new ConfigError(
        `gateway.${name}_url forwards to a ${name} that needs ${need}, which is mounted here and has no port of its own; set gateway.${need}_url too, or leave gateway.${name}_url empty`,
      );
}

function forwardsTo(
  { name, base_url }: Upstream,
  config: Config,
  listens_at: string,
): (ForwardedPrefix & { close(): void })[] {
  const section = config[name];
  const own_ms = "timeout_ms" in section ? section.timeout_ms + FORWARD_GRACE_MS : 0;
  const timeout_ms = Math.max(config.gateway.timeout_ms, own_ms);
  const { hostname, port } = new URL(base_url);
  const unix_path = isLoopback(hostname) ? socketPath(config.data_dir, name, Number(port)) : undefined;
  // Bound to loopback, every client is this machine; whichever of its own addresses it took says no more.
  const peer = isIP(listens_at) && isLoopback(listens_at) ? listens_at : undefined;
  const { forward, close } = createForward({
    service: name,
    base_url,
    unix_path,
    timeout_ms,
    silence_ms: config.gateway.timeout_ms,
    peer,
  });
  const { prefixes } = entryOf(name);
  return prefixes.map((prefix) => ({ service: name, prefix, forward, close }));
}

function entryOf(name: ServiceName) {
  const found = registry.find((it) => it.name === name);
  if (!found) throw new Error(`no service is called ${name}`);
  return found;
}

/** The service whose routes have this first segment, past the edge's /v1. */
function serviceAt(path: string): ServiceName | undefined {
  const [, first, second] = path.split("/");
  const prefix = (first === "v1" ? second : first) ?? "";
  return registry.find((it) => it.prefixes.includes(prefix))?.name;
}

function largestBody(config: Config): number {
  const { max_object_bytes, prefix_max_bytes } = config.storaged;
  return Math.max(
    config.max_json_bytes,
    max_object_bytes,
    ...Object.values(prefix_max_bytes),
    config.ingestd.max_body_bytes,
    config.vectord.max_body_bytes,
    config.pathwayd.max_import_bytes,
    config.vectord.max_import_bytes,
  );
}
