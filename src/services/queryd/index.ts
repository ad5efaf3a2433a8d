import { Elysia } from "elysia";
import type { Service, ServiceContext } from "../../shared/service.ts";
import type { Queryd } from "./schema.ts";

export async function createQueryd(_context: ServiceContext, _neighbours: object): Promise<Service<Queryd>> {
  return {
    domain: {} as Queryd,
    routes: new Elysia({ normalize: false }),
    health: () => ({ status: "ok" }),
    close: async () => {},
  };
}
