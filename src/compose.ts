/**
 * Builds what a target asks for. The only place that knows whether a service is here or elsewhere:
 * in `all`, a service without a URL in [gateway] is mounted and one with a URL is forwarded to; in
 * every other target nothing but the named service is built, and each neighbour is called at its URL
 * or, where none is given, at its own bind.
 */
import { type AnyElysia, Elysia } from "elysia";
import { type Config, ConfigError, isLoopback, parseBind } from "./config.ts";
import { createGateway, type Upstream } from "./gateway.ts";
import { type Interfaces, registry, type ServiceName } from "./services/index.ts";
import { createHttpClient } from "./shared/client.ts";
import { createDoor, edge } from "./shared/http.ts";
import { KeyRing, serviceToken } from "./shared/keys.ts";
import type { Log } from "./shared/log.ts";
import { Metrics } from "./shared/metrics.ts";
import type { Service } from "./shared/service.ts";

export type Target = "all" | "gateway" | ServiceName;

/** A composition, ready to listen. */
export interface House {
  readonly app: AnyElysia;
  readonly hostname: string;
  readonly port: number;
  /** Closes every service built here, last first. */
  close(): Promise<void>;
}

/** @throws ConfigError where the settings can't be composed */
export async function compose(config: Config, target: Target, log: Log): Promise<House> {
  const { hostname, port } = listenAddress(config, target);
  const metrics = new Metrics();
  const service_token = serviceToken(config.data_dir);
  const door = createDoor(new KeyRing(config.keys, service_token));
  const services = new Map<ServiceName, Service<unknown>>();
  const interfaces: Partial<Interfaces> = {};
  const upstreams: Upstream[] = [];

  for (const it of registry) {
    const url = config.gateway[`${it.name}_url`];
    const here = target === "all" ? url === "" : target === it.name;
    if (here) {
      const context = { config, log: log.child({ service: it.name }), metrics, door };
      const service = await it.create(context, interfaces as Interfaces);
      services.set(it.name, service);
      Object.assign(interfaces, { [it.name]: service.domain });
      continue;
    }
    if (target === "all") refuseStranded(it.name, it.needs, config);
    const base_url = url || `http://${config[it.name].bind}`;
    const http = createHttpClient({
      service: it.name,
      base_url,
      service_token,
      timeout_ms: config.gateway.timeout_ms,
    });
    Object.assign(interfaces, { [it.name]: it.client(http) });
    upstreams.push({ name: it.name, prefixes: it.prefixes, base_url });
  }

  const edges = edge({ log, metrics, max_json_bytes: config.max_json_bytes });
  const gateway = createGateway({
    config,
    target,
    door,
    metrics,
    services,
    upstreams: target === "all" || target === "gateway" ? upstreams : [],
  });
  const app = new Elysia({ normalize: false }).use(edges).use(gateway);
  return {
    app,
    hostname,
    port,
    close: async () => {
      for (const service of [...services.values()].reverse()) await service.close();
    },
  };
}

function listenAddress(config: Config, target: Target): { hostname: string; port: number } {
  const name = target === "all" ? "gateway" : target;
  const address = parseBind(config[name].bind);
  if (!address) throw new ConfigError(`${name}.bind must be host:port (got "${config[name].bind}")`);
  if (!isLoopback(address.hostname) && config.keys.length === 0)
    throw new ConfigError(
      `${name}.bind reaches beyond this machine (got "${config[name].bind}") and no key is configured; make one with: bun src/main.ts key create --name admin --scopes '*'`,
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
