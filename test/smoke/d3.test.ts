/** d3: a table is registered, registered again, refused with another schema, and listed, through the gateway. */
import { expect, test } from "bun:test";
import { parquetOf } from "../support/lake.ts";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

const TIMEOUT_MS = 60_000;

inBothCompositionsOfProcesses("d3", (start) => {
  test(
    "register, register again, drift, list",
    async () => {
      const { url } = await start();
      const call = async (method: string, path: string, body?: object | Buffer) => {
        const is_json = body !== undefined && !Buffer.isBuffer(body);
        const response = await fetch(`${url}/v1${path}`, {
          method,
          headers: { "content-type": is_json ? "application/json" : "application/octet-stream" },
          body: is_json ? JSON.stringify(body) : (body as BodyInit | undefined),
        });
        return { status: response.status, body: (await response.json()) as Record<string, unknown> };
      };
      const file = await parquetOf("SELECT range AS id, 'worker ' || range AS name FROM range(100)");
      expect((await call("PUT", "/storage/put/datasets/workers.parquet", file)).status).toBe(201);
      const registration = {
        name: "workers",
        schema: [
          { name: "id", type: "int64", nullable: true },
          { name: "name", type: "utf8", nullable: true },
        ],
        objects: [{ key: "datasets/workers.parquet", rows: 100 }],
      };
      const first = await call("POST", "/catalog/register", registration);
      expect(first).toMatchObject({
        status: 201,
        body: { name: "workers", existing: false, rows: 100 },
      });
      const again = await call("POST", "/catalog/register", registration);
      expect(again).toMatchObject({
        status: 200,
        body: { existing: true, snapshot_id: first.body.snapshot_id },
      });
      const schema = registration.schema.with(0, { name: "id", type: "utf8", nullable: true });
      expect(await call("POST", "/catalog/register", { ...registration, schema })).toMatchObject({
        status: 409,
        body: {
          code: "conflict",
          difference: [{ column: "id", change: "type", registered: "long", given: "string" }],
        },
      });
      expect(await call("GET", "/catalog/list")).toMatchObject({
        status: 200,
        body: { datasets: [{ name: "workers", rows: 100, files: 1 }], next_cursor: null },
      });
      expect(await call("GET", "/catalog/manifest/workers")).toMatchObject({
        status: 200,
        body: { schema_id: 0 },
      });
      expect(await call("GET", "/catalog/manifest/worker")).toMatchObject({
        status: 404,
        body: { nearest: ["workers"] },
      });
    },
    TIMEOUT_MS,
  );
});
