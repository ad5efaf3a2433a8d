/** vectord in another process, by the same interface. */
import type { HttpClient } from "../../shared/client.ts";
import type {
  Added,
  Deleted,
  Found,
  IndexInfo,
  IndexPage,
  Items,
  Restored,
  Snapshot,
  Vectord,
} from "./schema.ts";
import { createTablesClient } from "./tables_client.ts";

const TYPES = { json: "application/json", ndjson: "application/x-ndjson" };

/** The longest that vectord itself may be set to take for a snapshot or a restore. */
const MAX_MOVE_MS = 86_400_000;

export function createVectordClient(http: HttpClient): Vectord {
  const path = (name: string) => `/vectors/index/${encodeURIComponent(name)}`;
  const post = <T>(at: string, json: unknown) => http.json<T>(at, { method: "POST", json });
  const move = <T>(at: string, json: unknown, signal?: AbortSignal) =>
    http.json<T>(at, { method: "POST", json, signal, timeout_ms: MAX_MOVE_MS });
  return {
    create: (index) => post<IndexInfo>("/vectors/index", index),
    list: ({ limit, cursor }) => http.json<IndexPage>("/vectors/index", { query: { limit, cursor } }),
    index: (name) => http.json<IndexInfo>(path(name)),
    fields: (name, change) => post<IndexInfo>(`${path(name)}/fields`, change),
    drop: async (name) => {
      await http.call(path(name), { method: "DELETE" });
    },
    add: (name, batch) =>
      "items" in batch
        ? post<Added>(`${path(name)}/add`, batch)
        : http.json<Added>(`${path(name)}/add`, {
            method: "POST",
            body: batch.bytes as BodyInit,
            headers: { "content-type": TYPES[batch.format] },
          }),
    search: (name, query) => post<Found>(`${path(name)}/search`, query),
    get: (name, query) => post<Items>(`${path(name)}/get`, query),
    tables: createTablesClient(http, path),
    delete: (name, query) => post<Deleted>(`${path(name)}/delete`, query),
    snapshot: (name, query, signal) => move<Snapshot>(`${path(name)}/snapshot`, query, signal),
    restore: ({ key, name, replace }, signal) =>
      move<Restored>("/vectors/restore", { key, name, replace }, signal),
  };
}
