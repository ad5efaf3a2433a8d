/** pathwayd in another process, by the same interface. */
import type { HttpClient } from "../../shared/client.ts";
import type {
  AddedOrKnown,
  Audit,
  Counted,
  Forgotten,
  Found,
  History,
  Imported,
  Pathwayd,
  PathwayHealth,
  Stats,
  Trace,
  Written,
} from "./schema.ts";

export function createPathwaydClient(http: HttpClient): Pathwayd {
  const post = <T>(verb: string, json: unknown) => http.json<T>(`/pathway/${verb}`, { method: "POST", json });
  return {
    add: (trace) => post<Written>("add", trace),
    addIdempotent: (trace) => post<AddedOrKnown>("add_idempotent", trace),
    update: (update) => post<Written>("update", update),
    revise: (revision) => post<Written>("revise", revision),
    retire: (retirement) => post<Written>("retire", retirement),
    unretire: (return_) => post<Written>("unretire", return_),
    outcome: (outcome) => post<Written>("outcome", outcome),
    forget: (forget) => post<Forgotten>("forget", forget),
    get: (uid) => http.json<Trace>(`/pathway/get/${encodeURIComponent(uid)}`),
    history: (uid) => http.json<History>(`/pathway/history/${encodeURIComponent(uid)}`),
    search: (query) => post<Found>("search", query),
    count: (query) => post<Counted>("count", query),
    import: (lines) =>
      http.json<Imported>("/pathway/import", {
        method: "POST",
        body: lines as BodyInit,
        headers: { "content-type": "application/x-ndjson" },
      }),
    export: async () => (await http.call("/pathway/export")).body as ReadableStream<Uint8Array>,
    stats: () => http.json<Stats>("/pathway/stats"),
    audit: (query) => http.json<Audit>("/pathway/audit", { query }),
    health: async () =>
      (await (await http.call("/pathway/health", { accept: [503] })).json()) as PathwayHealth,
  };
}
