import type { HttpClient } from "../../shared/client.ts";
import type { Catalogd } from "./schema.ts";

export function createCatalogdClient(_http: HttpClient): Catalogd {
  return {} as Catalogd;
}
