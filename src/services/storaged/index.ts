import { Elysia } from "elysia";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Storaged } from "./schema.ts";

export async function createStoraged(
  _context: ServiceContext,
  _neighbours: object,
): Promise<Service<Storaged>> {
  return {
    domain: {} as Storaged,
    routes: new Elysia({ normalize: false }),
    health: () => ({ status: "ok" }),
    close: async () => {},
  };
}
