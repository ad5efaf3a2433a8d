import type { HttpClient } from "../../shared/client.ts";
import type { Storaged } from "./schema.ts";

export function createStoragedClient(_http: HttpClient): Storaged {
  return {} as Storaged;
}
