import { expect, test } from "bun:test";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

inBothCompositionsOfProcesses("d4: a CSV becomes Parquet and is registered", (start) => {
  test("ingests, tells the table, knows the repeat, and keeps it over a restart", async () => {
    const lake = await start();
    const csv = "id,zip,price,day\n1,00123,12.50,2026-11-23\n2,98765,,2026-11-24\n";
    const send = () => fetch(`${lake.url}/v1/ingest?name=sales`, { method: "POST", body: csv });

    const first = await send();
    const made = (await first.json()) as { snapshot_id: string; schema: { name: string; type: string }[] };
    expect(first.status).toBe(201);
    expect(made).toMatchObject({ dataset: "sales", rows: 2, bytes_in: csv.length, existing: false });
    expect(made.schema.map((it) => `${it.name} ${it.type}`)).toEqual([
      "id long",
      "zip string",
      "price double",
      "day date",
    ]);

    await lake.restart(lake.targetOf("ingestd"));

    const manifest = await fetch(`${lake.url}/v1/catalog/manifest/sales`);
    const table = (await manifest.json()) as {
      snapshot_id: string;
      objects: { key: string; rows: number }[];
    };
    expect(table.snapshot_id).toBe(made.snapshot_id);
    expect(table.objects.map((it) => it.rows)).toEqual([2]);

    const object = await fetch(`${lake.url}/v1/storage/get/${table.objects[0]?.key}`);
    const parquet = new Uint8Array(await object.arrayBuffer());
    expect(Buffer.from(parquet.subarray(0, 4)).toString()).toBe("PAR1");

    const again = await send();
    expect(again.status).toBe(200);
    expect(await again.json()).toMatchObject({ snapshot_id: made.snapshot_id, existing: true });
  }, 60_000);
});
