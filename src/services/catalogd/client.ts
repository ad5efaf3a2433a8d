/** catalogd in another process: the same interface over HTTP. */
import type { HttpClient } from "../../shared/client.ts";
import { parseName } from "./names.ts";
import type {
  Catalogd,
  CommitResult,
  DatasetList,
  History,
  MaintainReport,
  Manifest,
  Registered,
  ScanPlan,
  TableState,
} from "./schema.ts";

export function createCatalogdClient(http: HttpClient): Catalogd {
  /** Checked first: a URL would make another path of a name that isn't one. */
  const path = (verb: string, name: string) => `/catalog/${verb}/${parseName(name).full}`;
  const post = <T>(path: string, json: unknown) => http.json<T>(path, { method: "POST", json });
  return {
    describe: async (name) => http.json<TableState>(path("describe", name)),
    create: async (name, table) => post<TableState>(path("create", name), table),
    commit: async (name, commit) => post<CommitResult>(path("commit", name), commit),
    async committed(name, idempotency_key) {
      const { commit } = await http.json<{ commit: CommitResult | null }>(path("committed", name), {
        query: { idempotency_key },
      });
      return commit;
    },
    plan: (request) => post<ScanPlan>("/catalog/plan", request),
    names: async () => (await http.json<{ names: string[] }>("/catalog/names")).names,
    register: (registration) => post<Registered>("/catalog/register", registration),
    list: (page) => http.json<DatasetList>("/catalog/list", { query: { ...page } }),
    manifest: async (name, choice) => http.json<Manifest>(path("manifest", name), { query: { ...choice } }),
    history: async (name, page) => http.json<History>(path("history", name), { query: { ...page } }),
    rollback: async (name, rollback) => post<TableState>(path("rollback", name), rollback),
    evolve: async (name, evolution) => post<TableState>(path("evolve", name), evolution),
    async drop(name, { purge }) {
      await http.call(path("dataset", name), { method: "DELETE", query: { purge } });
    },
    maintain: (request) => post<MaintainReport>("/catalog/maintain", request),
  };
}
