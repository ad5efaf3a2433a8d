/** Finding a column by its name, in a table's schema or in what an engine tells of it. */
import { LakeError } from "../../shared/errors.ts";

const TOLD_COLUMNS = 50;

interface Named {
  readonly name: string;
}

export const isNamed = ({ name }: Named, wanted: string) => name.toLowerCase() === wanted.toLowerCase();

/** Exactly so named, or else the one that differs in case alone. @throws LakeError invalid */
export function found<Column extends Named>(columns: readonly Column[], name: string): Column {
  const it = columns.find((it) => it.name === name) ?? columns.find((it) => isNamed(it, name));
  if (it) return it;
  throw new LakeError("invalid", `There is no column ${JSON.stringify(name)}; there are ${listed(columns)}.`);
}

export function listed(columns: readonly Named[]): string {
  const names = columns.slice(0, TOLD_COLUMNS).map((it) => it.name);
  return `${names.join(", ")}${columns.length > TOLD_COLUMNS ? " …" : ""}`;
}
