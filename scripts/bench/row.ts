/** One line of a benchmark's result: what was asked, what was reached. */
export interface Row {
  what: string;
  target: string;
  measured: string;
  met: boolean;
  detail?: string;
}

export function printRows(rows: readonly Row[]): void {
  for (const row of rows) {
    console.log(`${row.met ? "met   " : "MISSED"}  ${row.what}: ${row.measured} (target ${row.target})`);
    if (row.detail) console.log(`        ${row.detail}`);
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}
