/** The door of catalogd: wires the pointer store, the warehouse, the rules and the routes. */
import { resolve } from "node:path";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Storaged } from "../storaged/schema.ts";
import { CatalogdDomain } from "./domain.ts";
import { catalogdRoutes } from "./routes.ts";
import type { Catalogd } from "./schema.ts";
import { openPointerStore } from "./store.ts";
import { Tables } from "./tables.ts";
import { Warehouse } from "./warehouse.ts";

const MIB = 1024 * 1024;

export async function createCatalogd(
  { config, log, door, metrics }: ServiceContext,
  { storaged }: { storaged: Storaged },
): Promise<Service<Catalogd>> {
  const { catalogd } = config;
  const path = resolve(config.data_dir, "catalog", "catalog.sqlite");
  const store = openPointerStore(path, catalogd.commit_keys_kept);
  const warehouse = new Warehouse(storaged, {
    cache_bytes: catalogd.cache_mib * MIB,
    max_footer_bytes: catalogd.max_footer_bytes,
  });
  const { commit_attempts } = catalogd;
  const lost = metrics.counter(
    "catalog_races_lost_total",
    "Attempts at a change that another change overtook",
  );
  const raceLost = () => lost.inc();
  const tables = new Tables({ store, warehouse, log, commit_attempts, now_ms: Date.now, raceLost });
  const domain = new CatalogdDomain(tables, catalogd, catalogd);
  return {
    domain,
    routes: catalogdRoutes(domain, door),
    health: () => ({ status: "ok", tables: store.names().length }),
    close: async () => store.close(),
  };
}
