import type { HttpClient } from "../../shared/client.ts";
import type { Queryd } from "./schema.ts";

export function createQuerydClient(_http: HttpClient): Queryd {
  return {} as Queryd;
}
