/** What the demo shows on a terminal: headings, a progress bar and tables; plain lines where it is none. */

const BAR_CELLS = 24;
const MAX_CELL_CHARS = 34;
const is_terminal = process.stdout.isTTY === true;
const style = (code: number) => (text: string) => (is_terminal ? `\x1b[${code}m${text}\x1b[0m` : text);

export const bold = style(1);
export const dim = style(2);
export const green = style(32);
export const cyan = style(36);

export function heading(text: string): void {
  console.log(`\n${bold(text)}`);
}

export function say(text: string): void {
  console.log(text);
}

/** One line that is drawn over while something goes on, and stays as it was last. */
export class ProgressLine {
  #last = "";
  constructor(readonly label: string) {}

  /** @param percent 0 to 100 */
  show(percent: number, note: string): void {
    const full = Math.round((Math.min(100, Math.max(0, percent)) / 100) * BAR_CELLS);
    const bar = `${green("█".repeat(full))}${dim("░".repeat(BAR_CELLS - full))}`;
    this.#last = `  ${this.label.padEnd(38)} ${bar} ${note}`;
    if (is_terminal) process.stdout.write(`\r\x1b[2K${this.#last}`);
  }

  done(note: string): void {
    this.show(100, note);
    process.stdout.write(is_terminal ? "\n" : `${this.#last}\n`);
  }
}

/** Numbers to the right, all else to the left; an absent value as a dot. */
export function table(columns: readonly string[], rows: readonly (readonly unknown[])[]): void {
  const texts = rows.map((row) => row.map(cell));
  const widths = columns.map((name, at) =>
    Math.max(name.length, ...texts.map((row) => row[at]?.length ?? 0)),
  );
  const numeric = columns.map((_, at) =>
    rows.every((row) => row[at] === null || typeof row[at] === "number"),
  );
  const line = (row: readonly string[]) =>
    row
      .map((text, at) => (numeric[at] ? text.padStart(widths[at] ?? 0) : text.padEnd(widths[at] ?? 0)))
      .join("  ");
  console.log(`    ${cyan(line(columns).trimEnd())}`);
  for (const row of texts) console.log(`    ${line(row).trimEnd()}`);
}

function cell(value: unknown): string {
  if (value === null) return "·";
  const text =
    typeof value === "number" ? count(value) : typeof value === "string" ? value : JSON.stringify(value);
  return text.length > MAX_CELL_CHARS ? `${text.slice(0, MAX_CELL_CHARS - 1)}…` : text;
}

/** 1234567.8 as 1,234,567.8; a year stays as it is. */
export function count(value: number): string {
  return Math.abs(value) < 10_000 ? String(value) : value.toLocaleString("en-US");
}

export function megabytes(bytes: number): string {
  if (bytes < 1_000_000) return `${Math.ceil(bytes / 1000)} kB`;
  return `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;
}
