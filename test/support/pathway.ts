/** Calls to pathwayd through the gateway. */
import type {
  AddedOrKnown,
  Audit,
  Counted,
  Forgotten,
  Found,
  History,
  Imported,
  PathwayHealth,
  SearchQuery,
  Stats,
  Trace,
  Written,
} from "../../src/services/pathwayd/schema.ts";

export interface PathwayProblem {
  readonly detail: string;
  readonly code: string;
  readonly uid?: string;
  readonly operation?: string;
  readonly version?: number;
  readonly state?: string;
  readonly successor?: string;
  readonly current?: Trace;
}

export function pathwayAt(url: string) {
  const send = async <T = PathwayProblem>(
    method: string,
    path: string,
    body?: unknown,
    type = "application/json",
  ) => {
    const response = await fetch(`${url}/v1/pathway/${path}`, {
      method,
      headers: body === undefined ? {} : { "content-type": type },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: (text === "" ? undefined : JSON.parse(text)) as T };
  };
  const ok = async <T>(answer: Promise<{ status: number; body: T }>): Promise<T> => {
    const { status, body } = await answer;
    if (status >= 300) throw new Error(`${status}: ${JSON.stringify(body)}`);
    return body;
  };
  const post =
    <T>(verb: string) =>
    (body: object) =>
      ok(send<T>("POST", verb, body));
  return {
    send,
    add: post<Written>("add"),
    addIdempotent: post<AddedOrKnown>("add_idempotent"),
    update: post<Written>("update"),
    revise: post<Written>("revise"),
    retire: post<Written>("retire"),
    unretire: post<Written>("unretire"),
    outcome: post<Written>("outcome"),
    forget: post<Forgotten>("forget"),
    count: post<Counted>("count"),
    get: (uid: string) => ok(send<Trace>("GET", `get/${uid}`)),
    history: (uid: string) => ok(send<History>("GET", `history/${uid}`)),
    search: (query: SearchQuery) => ok(send<Found>("POST", "search", query)),
    import: (lines: string) => ok(send<Imported>("POST", "import", lines, "application/x-ndjson")),
    export: async () => (await fetch(`${url}/v1/pathway/export`)).text(),
    stats: () => ok(send<Stats>("GET", "stats")),
    audit: (query = "") => ok(send<Audit>("GET", `audit${query}`)),
    health: async () => (await send<PathwayHealth>("GET", "health")).body,
  };
}
export type PathwayCalls = ReturnType<typeof pathwayAt>;

export const contentsOf = ({ results }: Found) => results.map(({ trace }) => trace.content);
