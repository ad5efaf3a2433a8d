import { Elysia } from "elysia";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Ingestd } from "./schema.ts";

export async function createIngestd(
  _context: ServiceContext,
  _neighbours: object,
): Promise<Service<Ingestd>> {
  return {
    domain: {} as Ingestd,
    routes: new Elysia({ normalize: false }),
    health: () => ({ status: "ok" }),
    close: async () => {},
  };
}
