/** observerd in another process. */
import type { HttpClient } from "../../shared/client.ts";
import { LakeError } from "../../shared/errors.ts";
import {
  GATEWAY_SOURCE,
  type Observerd,
  type ObserverHealth,
  type OpsPage,
  type Recorded,
  type RecordedAll,
  type Stats,
} from "./schema.ts";

/** Keeps a report's body well within max_json_bytes. */
const REPORT_OPS = 1000;

export function createObserverdClient(http: HttpClient): Observerd {
  const recordAll = (ops: readonly unknown[]) =>
    http.json<RecordedAll>("/observer/events", { method: "POST", json: ops });
  return {
    record: (op) => http.json<Recorded>("/observer/event", { method: "POST", json: op }),
    recordAll,
    witness: async (ops) => {
      for (let from = 0; from < ops.length; from += REPORT_OPS) {
        const report = ops.slice(from, from + REPORT_OPS).map((op) => ({ ...op, source: GATEWAY_SOURCE }));
        const { rejected, errors } = await recordAll(report);
        if (rejected > 0)
          throw new LakeError(
            "queue_full",
            `${rejected} of ${ops.length} reports were dropped: ${errors[0]?.message}`,
          );
      }
    },
    stats: () => http.json<Stats>("/observer/stats"),
    ops: (query) => http.json<OpsPage>("/observer/ops", { query }),
    health: async () =>
      (await (await http.call("/observer/health", { accept: [503] })).json()) as ObserverHealth,
  };
}
