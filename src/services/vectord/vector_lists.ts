/** Vectors out of a chunk of DuckDB's, without an array of JavaScript's numbers for each. */
import { type DuckDBDataChunk, DuckDBListVector } from "@duckdb/node-api";

/**
 * Lists of numbers as f32, null where there is none. A list with a null among its numbers comes as it is, for
 * whoever judges it to refuse.
 */
export function readLists(
  chunk: DuckDBDataChunk,
  column: number,
): (Float32Array | readonly unknown[] | null)[] {
  const lists = chunk.getColumnVector(column);
  return Array.from({ length: chunk.rowCount }, (_, row) =>
    lists instanceof DuckDBListVector ? readList(lists, row) : null,
  );
}

function readList(lists: DuckDBListVector, row: number): Float32Array | readonly unknown[] | null {
  const numbers = lists.getItemVector(row);
  if (numbers === null) return null;
  const vector = new Float32Array(numbers.itemCount);
  for (let at = 0; at < vector.length; at++) {
    const number = numbers.getItem(at);
    if (typeof number !== "number") return lists.getItem(row)?.items ?? null;
    vector[at] = number;
  }
  return vector;
}
