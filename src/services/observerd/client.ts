import type { HttpClient } from "../../shared/client.ts";
import type { Observerd } from "./schema.ts";

export function createObserverdClient(_http: HttpClient): Observerd {
  return {} as Observerd;
}
