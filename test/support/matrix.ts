/** Calls to matrixd through the gateway. */
import type { MatrixFound, MatrixQuery } from "../../src/services/matrixd/schema.ts";
import type { NewItem } from "../../src/services/vectord/schema.ts";

export function matrixAt(url: string, key?: string) {
  const call = async <T>(method: string, path: string, body?: unknown) => {
    const response = await fetch(`${url}/v1${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: (text === "" ? undefined : JSON.parse(text)) as T };
  };
  const expectOk = async <T>(method: string, path: string, body: unknown): Promise<T> => {
    const answer = await call<T>(method, path, body);
    if (answer.status >= 300) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  return {
    send: <T>(method: string, path: string, body?: unknown) => call<T>(method, `/matrix${path}`, body),
    search: (query: MatrixQuery) => expectOk<MatrixFound>("POST", "/matrix/search", query),
    add: (index: string, items: readonly NewItem[]) =>
      expectOk("POST", `/vectors/index/${index}/add`, { items }),
    /** Makes an index of texts, by the built-in model, and a corpus of the same name. */
    fill: async (name: string, items: readonly NewItem[]) => {
      await expectOk("POST", "/vectors/index", { name });
      await expectOk("POST", `/vectors/index/${name}/add`, { items });
      await expectOk("POST", "/matrix/corpora", { name, kind: "index", index: name });
    },
  };
}
export type MatrixCalls = ReturnType<typeof matrixAt>;
