/** Rows of a Parquet file or of a table, as batches of items: judged here, before anything is written. */
import { writeFileSync } from "node:fs";
import { type DuckDBConnection, VARCHAR } from "@duckdb/node-api";
import { firstLine, isOutOfRoom, whyUnreadable } from "../../shared/duckdb/engine.ts";
import { Footers } from "../../shared/duckdb/footers.ts";
import { quotePath } from "../../shared/duckdb/quote.ts";
import { bindTable } from "../../shared/duckdb/view.ts";
import { LakeError, messageOf } from "../../shared/errors.ts";
import { type JudgedItem, judgeItem } from "./batch.ts";
import { type Selection, selectItems } from "./columns.ts";
import { serveItems } from "./parquet.ts";
import { ItemReader } from "./store.ts";
import type { Opened, OpenRows, ReadRows, RowBatch } from "./tables_protocol.ts";
import { readLists } from "./vector_lists.ts";

/** What a batch takes as NDJSON, about. */
const BATCH_BYTES = 8 * 1024 * 1024;

/** One row as `selectItems` has it. */
type Row = [
  id: string | null,
  vector: Float32Array | readonly unknown[] | null,
  text: string | null,
  metadata: string | null,
  members: string | null,
  expires: string | number | null,
];
type Stream = Awaited<ReturnType<DuckDBConnection["stream"]>>;

export class Rows {
  /** Rows read so far, of the stream under way. */
  #read = 0;
  #stream: Stream | undefined;
  #held: Row[] = [];
  #missing: AsyncIterator<string> | undefined;

  private constructor(
    readonly connection: DuckDBConnection,
    readonly selection: Selection,
    readonly opened: Opened,
    /** Of the file; undefined for a table's rows. */
    readonly file: string | undefined,
    readonly batch_path: string,
  ) {}

  /**
   * @param batch_path where each batch is written, over the one before
   * @throws LakeError invalid: no such file or column, a null or doubled id
   */
  static async open(connection: DuckDBConnection, source: OpenRows, batch_path: string): Promise<Rows> {
    const is_table = "table" in source;
    const file = "table" in source ? undefined : source.parquet;
    return guarded(file, async () => {
      let from = "";
      if (is_table) {
        await bindTable(connection, new Footers(), { schema: "lake", view: "source" }, source.table);
        from = source.where === null ? "lake.source" : "lake.taken";
        if (source.where !== null)
          await connection.run(`CREATE VIEW lake.taken AS SELECT * FROM lake.source WHERE ${source.where}`);
      } else from = `read_parquet(${quotePath(source.parquet)}, hive_partitioning = false)`;
      const selection = await selectItems(connection, from, is_table ? source.columns : null);
      const opened = await countRows(connection, selection);
      return new Rows(connection, selection, opened, file, batch_path);
    });
  }

  async judgeAll(request: ReadRows): Promise<{ rows: number }> {
    for (let rows = await this.#rows(); rows.length > 0; rows = await this.#rows())
      for (const row of rows) this.#judge(row, request);
    const rows = this.#read;
    this.#read = 0;
    return { rows };
  }

  async next(request: ReadRows): Promise<RowBatch> {
    const reader = request.items_path === null ? undefined : new ItemReader(request.items_path);
    const told = { rows: 0, unchanged: 0, skipped: 0 };
    const lines: string[] = [];
    let bytes = 0;
    let is_last = false;
    try {
      while (lines.length < request.limits.max_items && bytes < BATCH_BYTES) {
        if (this.#held.length === 0) this.#held = await this.#rows();
        const row = this.#held.shift();
        is_last = row === undefined;
        if (row === undefined) break;
        told.rows++;
        if (this.file === undefined && this.#isBlank(row)) {
          told.skipped++;
          continue;
        }
        const item = this.#judge(row, request);
        if (reader && isSame(reader, item)) {
          told.unchanged++;
          continue;
        }
        const line = lineOf(item);
        bytes += Buffer.byteLength(line);
        lines.push(line);
      }
    } finally {
      reader?.close();
    }
    if (lines.length === 0) return { path: null, ...told, is_last };
    writeFileSync(this.batch_path, lines.join(""), { mode: 0o600 });
    return { path: this.batch_path, ...told, is_last };
  }

  async missing({ items_path, limit }: { items_path: string; limit: number }): Promise<{ ids: string[] }> {
    this.#missing ??= this.#readMissing(items_path);
    const ids: string[] = [];
    while (ids.length < limit) {
      const { done, value } = await this.#missing.next();
      if (done) break;
      ids.push(value);
    }
    return { ids };
  }

  async *#readMissing(items_path: string): AsyncGenerator<string> {
    const reader = new ItemReader(items_path);
    try {
      const columns = [{ name: "id", type: VARCHAR, value: ({ id }: { id: string }) => id }];
      serveItems(this.connection, "item_ids", columns, reader.ids());
      const stream = await this.connection.stream(
        `SELECT i.id FROM item_ids() AS i ANTI JOIN (${this.selection.kept_ids}) AS kept ON i.id = kept.id`,
      );
      for (
        let chunk = await stream.fetchChunk();
        chunk && chunk.rowCount > 0;
        chunk = await stream.fetchChunk()
      )
        for (const id of chunk.getColumnValues(0)) yield String(id);
    } finally {
      reader.close();
    }
  }

  /** The next rows, of DuckDB's own chunk; none at the end, after which they begin anew. */
  async #rows(): Promise<Row[]> {
    return guarded(this.file, async () => {
      this.#stream ??= await this.connection.stream(this.selection.items);
      const chunk = await this.#stream.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) {
        this.#stream = undefined;
        return [];
      }
      const vectors = readLists(chunk, 1);
      const [ids, ...others] = [0, 2, 3, 4, 5].map((column) => chunk.getColumnValues(column));
      return vectors.map((vector, at) => [ids?.[at], vector, ...others.map((it) => it[at])] as Row);
    });
  }

  /** Whether a row of a table has nothing to make an item of. */
  #isBlank([, vector, text]: Row): boolean {
    return this.selection.has_vector ? vector === null : text === null || text.trim() === "";
  }

  #judge([id, vector, text, metadata, members, expires]: Row, { settings, limits }: ReadRows): JudgedItem {
    const where = `row ${++this.#read}`;
    try {
      const value = {
        id,
        ...(vector === null ? {} : { vector }),
        text,
        metadata: metadataOf(metadata, members, where),
        expires_at: typeof expires === "number" ? new Date(expires).toISOString() : expires,
      };
      return judgeItem(value, where, settings, limits);
    } catch (error) {
      if (error instanceof LakeError) throw error;
      throw new LakeError("invalid", `${where}: ${messageOf(error)}`);
    }
  }
}

/** Members of the column `metadata` go before columns of the same name. */
function metadataOf(metadata: string | null, members: string | null, where: string): unknown {
  if (metadata === null && members === null) return null;
  const others = members === null ? {} : (JSON.parse(members) as object);
  if (metadata === null) return others;
  let own: unknown;
  try {
    own = JSON.parse(metadata);
  } catch {
    throw new LakeError("invalid", `${where}: metadata: is not valid JSON.`);
  }
  return typeof own === "object" && own !== null && !Array.isArray(own) ? { ...others, ...own } : own;
}

function isSame(reader: ItemReader, { id, vector, metadata, text, expires_ms }: JudgedItem): boolean {
  const item = reader.find(id);
  return (
    item !== null &&
    item.text === text &&
    item.metadata === metadata &&
    item.expires_ms === expires_ms &&
    (vector === undefined || Buffer.compare(item.vector, bytesOf(vector)) === 0)
  );
}

const bytesOf = (vector: Float32Array) => Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength);

function lineOf({ id, vector, metadata, text, expires_ms }: JudgedItem): string {
  const rest = JSON.stringify({
    id,
    text,
    expires_at: expires_ms === null ? null : new Date(expires_ms).toISOString(),
    ...(vector === undefined ? {} : { vector: bytesOf(vector).toString("base64") }),
  });
  return `${rest.slice(0, -1)},"metadata":${metadata ?? "null"}}\n`;
}

async function countRows(connection: DuckDBConnection, selection: Selection): Promise<Opened> {
  const one = async (sql: string) => (await connection.runAndReadAll(sql)).getRowsJson()[0];
  const doubled = await one(
    `SELECT id, count(*) FROM (${selection.ids}) WHERE id IS NOT NULL GROUP BY id HAVING count(*) > 1 LIMIT 1`,
  );
  if (doubled)
    throw new LakeError(
      "invalid",
      `id: ${JSON.stringify(doubled[0])} is the id of ${doubled[1]} rows; an id may be there once.`,
    );
  const rows = await one(`SELECT count(*) FROM (${selection.ids})`);
  const first = await one(selection.first_dimension);
  return { rows: Number(rows?.[0] ?? 0), dimension: first === undefined ? null : Number(first[0]) };
}

/** DuckDB's failures to read, in our words; running out of memory is told by who serves it. */
async function guarded<T>(file: string | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LakeError || isOutOfRoom(error)) throw error;
    if (file === undefined)
      throw new LakeError("unavailable", "A data file of the table could not be read.", {}, firstLine(error));
    throw new LakeError("invalid", `The file can't be read as Parquet: ${whyUnreadable(error, file)}`);
  }
}
