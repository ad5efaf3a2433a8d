/** Asks a running house for SQL, as a client does. */
export interface Answer {
  columns: { name: string; type: string }[];
  rows: unknown[][];
  row_count: number;
  truncated: boolean;
  elapsed_ms: number;
  snapshot_ids: Record<string, string | null>;
}

export interface Problem {
  status: number;
  code: string;
  detail: string;
  position?: { line: number; column: number; offset: number };
  candidates?: string[];
}

export type Ask = { sql: string } & Record<string, unknown>;

export function sendSql(
  house: { url: string },
  ask: Ask | string,
  accept = "application/json",
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(`${house.url}/v1/sql`, {
    method: "POST",
    headers: { "content-type": "application/json", accept },
    body: JSON.stringify(typeof ask === "string" ? { sql: ask } : ask),
    signal,
  });
}

/** The answer, where there is one. @throws Error with the problem where there is none */
export async function sql(house: { url: string }, ask: Ask | string): Promise<Answer> {
  const response = await sendSql(house, ask);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text}\n${JSON.stringify(ask)}`);
  return JSON.parse(text) as Answer;
}

/** The problem that a statement is answered with. @throws Error where it is answered with rows */
export async function refused(
  house: { url: string },
  ask: Ask | string,
  accept = "application/json",
): Promise<Problem> {
  const response = await sendSql(house, ask, accept);
  const text = await response.text();
  if (response.status === 200) throw new Error(`not refused: ${JSON.stringify(ask)}\n${text.slice(0, 500)}`);
  return JSON.parse(text) as Problem;
}
