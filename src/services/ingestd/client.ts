import type { HttpClient } from "../../shared/client.ts";
import type { Ingestd } from "./schema.ts";

export function createIngestdClient(_http: HttpClient): Ingestd {
  return {} as Ingestd;
}
