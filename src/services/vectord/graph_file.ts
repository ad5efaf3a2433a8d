/** A graph's file and the manifest that names it: written so that a crash leaves the one before or this one. */
import { lstatSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { syncPath } from "./folders.ts";

const MANIFEST = "graph.json";
const count = Type.Integer({ minimum: 0 });
/** As JSON has no number that is infinite or none, this leaves those that make something of a vector. */
export const Factor = Type.Number({ exclusiveMinimum: 0 });
const ManifestSchema = Type.Object({
  file: Type.String({ pattern: "^[a-z0-9][a-z0-9-]*\\.usearch$" }),
  covers_key: count,
  size: count,
  checksum: Type.String(),
  scale: Type.Optional(Factor),
});

export interface GraphManifest {
  readonly file: string;
  readonly covers_key: number;
  /** Vectors in it. */
  readonly size: number;
  /** Of the file's bytes: xxHash3, 64 bits, in hex. */
  readonly checksum: string;
  /** By which its vectors are multiplied, where they are (graph_scale.ts). */
  readonly scale?: number | undefined;
}

/** Undefined where there is none, or none that can be trusted: a graph is derived, and can be built anew. */
export function graphManifest(folder: string): GraphManifest | undefined {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(folder, MANIFEST), "utf8"));
    if (!Value.Check(ManifestSchema, manifest)) return undefined;
    return lstatSync(join(folder, manifest.file)).isFile() ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/** Names a graph's file that is whole and synced already. Durable when it returns. */
export function writeGraphManifest(folder: string, manifest: GraphManifest): void {
  const path = join(folder, MANIFEST);
  writeFileSync(`${path}.new`, JSON.stringify(manifest));
  syncPath(`${path}.new`);
  renameSync(`${path}.new`, path);
  syncPath(folder);
}

/** Removes graphs' files that a crash or an older save left behind. */
export function sweepGraphs(folder: string, keep?: string): void {
  for (const file of readdirSync(folder))
    if (file.endsWith(".usearch") && file !== keep) rmSync(join(folder, file), { force: true });
}

/** Leaves no graph on the disk. Durable when it returns. */
export function removeGraph(folder: string): void {
  rmSync(join(folder, MANIFEST), { force: true });
  sweepGraphs(folder);
  syncPath(folder);
}

export function checksumOf(path: string): string {
  return Bun.hash.xxHash3(readFileSync(path)).toString(16);
}
