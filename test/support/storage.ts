/** The storage routes of a running house, as a client of the gateway calls them. */
import type { ObjectList } from "../../src/services/storaged/schema.ts";

export interface StorageRoutes {
  /** @param key as it stands in the URL, escaped */
  send(verb: string, key: string, init?: RequestInit): Promise<Response>;
  put(key: string, body: BodyInit, headers?: Record<string, string>): Promise<Response>;
  get(key: string, headers?: Record<string, string>): Promise<Response>;
  list(query: string): Promise<ObjectList>;
}

/** @param url the gateway's address, asked for at each call */
export function storageRoutes(url: () => string): StorageRoutes {
  const send = (verb: string, key: string, init: RequestInit = {}) =>
    fetch(`${url()}/v1/storage/${verb}/${key}`, init);
  return {
    send,
    put: (key, body, headers = {}) => send("put", key, { method: "PUT", body, headers }),
    get: (key, headers = {}) => send("get", key, { headers }),
    list: async (query) => (await (await fetch(`${url()}/v1/storage/list?${query}`)).json()) as ObjectList,
  };
}

/** The code of a problem. */
export async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { code: string }).code;
}
