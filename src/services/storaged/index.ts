/** The door of storaged: wires the local store, the rules and the routes. */
import { resolve } from "node:path";
import type { Service, ServiceContext } from "../../shared/service.ts";
import { documentation } from "./docs.ts";
import { StoragedDomain } from "./domain.ts";
import { LocalStore } from "./local.ts";
import { storagedRoutes } from "./routes.ts";
import type { Storaged } from "./schema.ts";

export async function createStoraged({ config, door }: ServiceContext): Promise<Service<Storaged>> {
  const store = await LocalStore.open(resolve(config.data_dir, "storage"), config.drain_ms);
  const domain = new StoragedDomain(store, config.storaged);
  return {
    domain,
    routes: storagedRoutes(domain, door),
    documented: documentation.wildcards,
    health: () => ({ status: "ok" }),
    close: () => store.close(),
  };
}
