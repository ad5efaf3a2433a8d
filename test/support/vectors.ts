/** Calls to vectord through the gateway, and vectors to call it with. */
import type {
  Added,
  Found,
  Hit,
  IndexInfo,
  NewItem,
  Restored,
  SearchQuery,
  Snapshot,
} from "../../src/services/vectord/schema.ts";

export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

export interface Problem {
  readonly detail: string;
  readonly code: string;
}

export function vectorsAt(url: string) {
  const send = <T>(method: string, path: string, body?: unknown, type = "application/json") =>
    call<T>(method, `/index${path}`, body, type);
  const call = async <T>(method: string, path: string, body?: unknown, type = "application/json") => {
    const response = await fetch(`${url}/v1/vectors${path}`, {
      method,
      headers: body === undefined ? {} : { "content-type": type },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: (text === "" ? undefined : JSON.parse(text)) as T };
  };
  const expectOk = async <T>(answer: Promise<Answer<T>>): Promise<T> => {
    const { status, body } = await answer;
    if (status >= 300) throw new Error(`${status}: ${JSON.stringify(body)}`);
    return body;
  };
  return {
    send,
    snapshot: (name: string, query: object = {}) =>
      expectOk(send<Snapshot>("POST", `/${name}/snapshot`, query)),
    /** With whatever it answers. */
    tryRestore: <T>(query: object) => call<T>("POST", "/restore", query),
    restore: (query: object) => expectOk(call<Restored>("POST", "/restore", query)),
    create: (name: string, dimension: number, more: object = {}) =>
      expectOk(send<IndexInfo>("POST", "", { name, dimension, ...more })),
    add: (name: string, items: readonly NewItem[]) =>
      expectOk(send<Added>("POST", `/${name}/add`, { items })),
    search: (name: string, query: SearchQuery) => expectOk(send<Found>("POST", `/${name}/search`, query)),
    remove: (name: string, query: object) =>
      expectOk(send<{ deleted: number }>("POST", `/${name}/delete`, query)),
    info: (name: string) =>
      expectOk(send<{ items: number; waiting: number; masked: number; state: string }>("GET", `/${name}`)),
  };
}
export type VectorCalls = ReturnType<typeof vectorsAt>;

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let it = Math.imul(state ^ (state >>> 15), 1 | state);
    it = (it + Math.imul(it ^ (it >>> 7), 61 | it)) ^ it;
    return ((it ^ (it >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const randomVector = (dimension: number, random: () => number): number[] =>
  Array.from({ length: dimension }, () => Math.fround(random() * 2 - 1));

export const base64Of = (vector: readonly number[]): string =>
  Buffer.from(Float32Array.from(vector).buffer).toString("base64");

export const idsOf = (hits: readonly Hit[]): string[] => hits.map((it) => it.id);

/** Waits until the graph holds every item. */
export async function settled(calls: VectorCalls, name: string): Promise<void> {
  while ((await calls.info(name)).state !== "ready") await Bun.sleep(10);
}
