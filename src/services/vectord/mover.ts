/** The Worker for what moves: copies an index while it is written and searched, and judges one that came. */
import { closeSync, linkSync, mkdirSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../shared/files.ts";
import { FORMAT, FORMAT_VERSION, GRAPH_FILE, ITEMS_FILE, type Manifest } from "./archive.ts";
import { copyItemFile } from "./copy.ts";
import { itemsPath, scratchPath, syncPath } from "./folders.ts";
import { isSoundGraph } from "./graph_check.ts";
import { graphManifest, writeGraphManifest } from "./graph_file.ts";
import { judgeItemFile } from "./judge.ts";
import { serve } from "./line.ts";
import type { IndexSettings } from "./schema.ts";
import { ItemReader } from "./store.ts";

/** An index's files, set aside to be sent. */
export interface Packed {
  readonly folder: string;
  readonly manifest: Manifest;
}

const HASHED_AT_ONCE = 1024 * 1024;
/** How often a graph's file is looked for again that was saved anew meanwhile. */
const LINK_ATTEMPTS = 8;
let root: string;

const api = {
  begin(given: { root: string }): void {
    root = given.root;
  },
  /** The graph is taken first: what it covers is then surely in the copy of the items. */
  pack(name: string, created_at: string): Packed {
    const folder = scratchPath(root);
    mkdirSync(folder);
    try {
      const graph = linkGraph(join(root, name), folder);
      const { settings, items, last_key } = copyItemFile(itemsPath(root, name), join(folder, ITEMS_FILE));
      const files = [ITEMS_FILE, ...(graph ? [GRAPH_FILE] : [])].map((file) => describe(folder, file));
      const manifest = { format: FORMAT, version: FORMAT_VERSION, name, created_at, settings } as const;
      return {
        folder,
        manifest: {
          ...manifest,
          settings: { ...settings, indexed: [...settings.indexed] },
          items,
          last_key,
          graph,
          files,
        },
      };
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  },
  /** Whether an index that came can be opened as it is; makes it durable. @throws LakeError invalid */
  judge(key: string, folder: string, manifest: Manifest): void {
    judgeItemFile(key, join(folder, ITEMS_FILE), manifest);
    if (manifest.graph) installGraph(folder, manifest.settings as IndexSettings, manifest.graph);
    syncPath(folder);
  },
};
export type MoverApi = typeof api;

/** A graph that can't be trusted is left out: it is derived, and is built anew from the items. */
function installGraph(folder: string, settings: IndexSettings, graph: NonNullable<Manifest["graph"]>): void {
  const path = join(folder, GRAPH_FILE);
  const items = new ItemReader(join(folder, ITEMS_FILE));
  try {
    if (isSoundGraph(path, settings, graph, items.keysTo(graph.covers_key)))
      writeGraphManifest(folder, { file: GRAPH_FILE, ...graph });
    else rmSync(path);
  } finally {
    items.close();
  }
}

function linkGraph(from: string, to: string): Manifest["graph"] {
  for (let attempt = 1; ; attempt++) {
    const found = graphManifest(from);
    if (found === undefined) return null;
    const { file, ...graph } = found;
    try {
      linkSync(join(from, file), join(to, GRAPH_FILE));
      return graph;
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
      if (attempt === LINK_ATTEMPTS) return null;
    }
  }
}

function describe(folder: string, name: string): Manifest["files"][number] {
  const path = join(folder, name);
  const sha256 = new Bun.CryptoHasher("sha256");
  const buffer = new Uint8Array(HASHED_AT_ONCE);
  const fd = openSync(path, "r");
  try {
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer))
      sha256.update(buffer.subarray(0, count));
  } finally {
    closeSync(fd);
  }
  return { name, size: statSync(path).size, sha256: sha256.digest("hex") };
}

serve(api);
