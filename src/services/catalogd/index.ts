import { Elysia } from "elysia";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Catalogd } from "./schema.ts";

export async function createCatalogd(
  _context: ServiceContext,
  _neighbours: object,
): Promise<Service<Catalogd>> {
  return {
    domain: {} as Catalogd,
    routes: new Elysia({ normalize: false }),
    health: () => ({ status: "ok" }),
    close: async () => {},
  };
}
