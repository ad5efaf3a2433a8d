/** How far the index has come with the journal: a small file, replaced whole. Older than the truth is harmless. */
import { readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "../../shared/files.ts";

export interface Mark {
  /** Of the index: another has another. */
  readonly generation: string;
  /** The index holds this record, and all before it. */
  readonly seq: number;
}

export class Watermark {
  readonly #path: string | undefined;
  #mark: Mark | undefined;

  /** @param path undefined where nothing persists */
  constructor(path: string | undefined) {
    this.#path = path;
    this.#mark = path === undefined ? undefined : read(path);
  }

  get mark(): Mark | undefined {
    return this.#mark;
  }

  /** Durable when it resolves. */
  async write(mark: Mark): Promise<void> {
    if (mark.seq === this.#mark?.seq && mark.generation === this.#mark.generation) return;
    this.#mark = mark;
    if (this.#path === undefined) return;
    const file = await open(`${this.#path}.new`, "w", 0o644);
    try {
      await file.writeFile(JSON.stringify(mark));
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(`${this.#path}.new`, this.#path);
    await syncDirectory(dirname(this.#path));
  }
}

/** Undefined where there is none, or none that can be read: the index is made anew then. */
function read(path: string): Mark | undefined {
  try {
    const { generation, seq } = JSON.parse(readFileSync(path, "utf8")) as Partial<Mark>;
    return typeof generation === "string" && Number.isSafeInteger(seq)
      ? { generation, seq: seq as number }
      : undefined;
  } catch {
    return undefined;
  }
}
