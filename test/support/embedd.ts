/** Asks a running house for vectors, as a client does. */

export interface Embedded {
  model: string;
  dimension: number;
  vectors: number[][];
  truncated: number[];
  tokens: number;
  elapsed_ms: number;
}

export interface Problem {
  status: number;
  code: string;
  detail: string;
  errors?: { path: string; message: string }[];
  retry_after: string | null;
}

export function post(house: { url: string }, path: string, body: unknown): Promise<Response> {
  return fetch(`${house.url}/v1${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
}

/** @throws Error with the problem where there is no answer */
export async function embed(
  house: { url: string },
  texts: string[],
  options: Record<string, unknown> = {},
): Promise<Embedded> {
  const response = await post(house, "/embed", { texts, ...options });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text}`);
  return JSON.parse(text) as Embedded;
}

/** @throws Error where it is answered with vectors */
export async function refused(
  house: { url: string },
  body: Record<string, unknown>,
  path = "/embed",
): Promise<Problem> {
  const response = await post(house, path, body);
  if (response.status === 200) throw new Error(`not refused: ${JSON.stringify(body).slice(0, 500)}`);
  const problem = (await response.json()) as Problem;
  return { ...problem, retry_after: response.headers.get("retry-after") };
}

/** The settings that add models. */
export function withModels(...models: Record<string, unknown>[]): Record<string, string> {
  return { LAKEHOUSE_EMBEDD_MODELS: JSON.stringify(models) };
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((sum, x, at) => sum + x * (b[at] as number), 0);
}
