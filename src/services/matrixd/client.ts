/** matrixd in another process, by the same interface. */
import type { HttpClient } from "../../shared/client.ts";
import type {
  CorpusInfo,
  CorpusPage,
  Downgrade,
  Matrixd,
  MatrixFound,
  OutcomeRecorded,
  OutcomesPage,
  Playbook,
  PlaybookRecorded,
  PlaybooksPage,
  PlaybooksRecorded,
  Relevance,
} from "./schema.ts";

export function createMatrixdClient(http: HttpClient): Matrixd {
  const path = (name: string) => `/matrix/corpora/${encodeURIComponent(name)}`;
  const post = <T>(at: string, json: unknown) => http.json<T>(at, { method: "POST", json });
  return {
    register: (corpus) => http.json<CorpusInfo>("/matrix/corpora", { method: "POST", json: corpus }),
    corpora: (query) => http.json<CorpusPage>("/matrix/corpora", { query }),
    corpus: (name) => http.json<CorpusInfo>(path(name)),
    refresh: (name) => http.json<CorpusInfo>(`${path(name)}/refresh`, { method: "POST" }),
    unregister: async (name) => {
      await http.call(path(name), { method: "DELETE" });
    },
    search: (query) => post<MatrixFound>("/matrix/search", query),
    relevance: (request) => post<Relevance>("/matrix/relevance", request),
    downgrade: (request) => post<Downgrade>("/matrix/downgrade", request),
    recordOutcome: (outcome) => post<OutcomeRecorded>("/matrix/outcomes", outcome),
    outcomes: (query) => http.json<OutcomesPage>("/matrix/outcomes", { query }),
    recordPlaybook: (record) => post<PlaybookRecorded>("/matrix/playbooks/record", record),
    recordPlaybooks: (playbooks) => post<PlaybooksRecorded>("/matrix/playbooks/bulk", { playbooks }),
    playbooks: (query) => http.json<PlaybooksPage>("/matrix/playbooks", { query }),
    retirePlaybook: (request) => post<Playbook>("/matrix/playbooks/retire", request),
  };
}
