/** What of a load can be judged before a row is read: its columns, and whether the index can take what they hold. */
import { LakeError } from "../../shared/errors.ts";
import type { IcebergField, IcebergType } from "../../shared/iceberg.ts";
import { found } from "./column_names.ts";
import type { IndexInfo, LoadRequest } from "./schema.ts";

const IDS = ["string", "int", "long", "uuid", "date"];
const TEXTS = ["string", "uuid"];
const NUMBER = /^(int|long|float|double|decimal\(.*\))$/;

/** @throws LakeError invalid: no such column, or of a type that can't be that part */
export function judgeColumns(
  { id, text, vector, metadata = [] }: LoadRequest,
  fields: readonly IcebergField[],
): void {
  const isOneOf = (types: readonly string[]) => (type: IcebergType) =>
    typeof type === "string" && types.includes(type);
  const judge = (name: string, part: string, wanted: string, fits: (type: IcebergType) => boolean) => {
    const { name: column, type } = found(fields, name);
    if (!fits(type))
      throw new LakeError(
        "invalid",
        `Column ${JSON.stringify(column)} can't be the ${part}: it must be ${wanted} (it is ${told(type)}).`,
      );
  };
  judge(id, "id", "text, a whole number, a UUID or a date", isOneOf(IDS));
  if (vector !== undefined) judge(vector, "vector", "a list of numbers", isNumbers);
  if (text !== undefined) judge(text, "text", "text", isOneOf(TEXTS));
  for (const name of metadata) found(fields, name);
}

function isNumbers(type: IcebergType): boolean {
  return (
    typeof type === "object" &&
    type.type === "list" &&
    typeof type.element === "string" &&
    NUMBER.test(type.element)
  );
}

function told(type: IcebergType): string {
  if (typeof type === "string") return type;
  return type.type === "list" ? `list of ${told(type.element)}` : type.type;
}

/** @throws LakeError invalid: texts alone, and nothing that would make vectors of them */
export function refuseModelless({ text, vector }: LoadRequest, name: string): void {
  if (vector === undefined)
    throw new LakeError(
      "invalid",
      `Index "${name}" has no model to make vectors of column "${text}": name a column of vectors, too (vector), or read into an index that has a model.`,
    );
}

/** Settings are for an index that is to be made; those of one that is there stay. @throws LakeError conflict */
export function refuseOtherSettings(request: LoadRequest, index: IndexInfo, model: string | undefined): void {
  const { indexed, ...given } = { ...request.index, ...(model === undefined ? {} : { model }) };
  const others: [string, unknown][] = Object.entries(given).filter(
    ([name, value]) => index[name as keyof IndexInfo] !== value,
  );
  if (indexed !== undefined && new Set(indexed).symmetricDifference(new Set(index.indexed)).size > 0)
    others.push(["indexed", indexed]);
  if (others.length === 0) return;
  const differences = others.map(([name, value]) => {
    const is = JSON.stringify(index[name as keyof IndexInfo]);
    return `${name} is ${is}, not ${JSON.stringify(value)}`;
  });
  throw new LakeError(
    "conflict",
    `Index "${index.name}" is there already, and made otherwise: ${differences.join("; ")}. Leave index out, or read into another index.`,
  );
}
