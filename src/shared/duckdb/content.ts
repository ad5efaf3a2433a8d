/** What a table's view is made of: the files of one scan plan, by where they lie on this machine. */
import { join } from "node:path";
import { LakeError } from "../errors.ts";
import type { IcebergField } from "../iceberg.ts";

/** In an exported index's key-value metadata: how many numbers each vector has, since Parquet's lists don't say. */
export const DIMENSION_KEY = "dimension";

/** One data file, by its absolute path here and its name in Iceberg's metadata. */
export interface BoundFile {
  path: string;
  location: string;
  position_deletes: string[];
}

/** What a view is made of. */
export interface TableContent {
  fields: IcebergField[];
  name_mapping: unknown | null;
  files: BoundFile[];
}

/** What of a scan plan tells the content. */
interface Plan {
  readonly fields: IcebergField[];
  readonly name_mapping: unknown | null;
  readonly files: readonly { location: string; key: string; position_deletes: { key: string }[] }[];
}

/** @param storage absolute: what the keys of objects are relative to */
export function contentOf(plan: Plan, storage: string): TableContent {
  return {
    fields: plan.fields,
    name_mapping: plan.name_mapping,
    files: plan.files.map((file) => ({
      path: pathOf(storage, file.key),
      location: file.location,
      position_deletes: file.position_deletes.map((it) => pathOf(storage, it.key)),
    })),
  };
}

function pathOf(storage: string, key: string): string {
  if (
    !key.startsWith("warehouse/") ||
    key.split("/").some((part) => part === ".." || part === "." || part === "")
  )
    throw new LakeError("internal", `a data file lies outside of the warehouse: ${key}`);
  return join(storage, key);
}
