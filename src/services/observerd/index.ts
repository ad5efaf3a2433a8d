import { Elysia } from "elysia";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Observerd } from "./schema.ts";

export async function createObserverd(
  _context: ServiceContext,
  _neighbours: object,
): Promise<Service<Observerd>> {
  return {
    domain: {} as Observerd,
    routes: new Elysia({ normalize: false }),
    health: () => ({ status: "ok" }),
    close: async () => {},
  };
}
