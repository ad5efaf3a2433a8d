/** Which indexes there are, which can't be used and why, and which are just being made, replaced or removed. */
import { LakeError } from "../../shared/errors.ts";
import { suggestNear } from "../../shared/wording.ts";
import { RESERVED } from "./schema.ts";

/** An index that can be used. */
export interface Known {
  readonly model: string | null;
}
type Entry = Known | { readonly unfit: string };

/** Snapshots, erasures and the like of one index that may wait for each other. */
const MAX_TURNS = 64;

/** What else a restore can ask for where the name is taken. */
export const OR_REPLACE = " Restore it with `replace: true`, or under another name.";

export class Indexes {
  readonly #max: number;
  readonly #entries = new Map<string, Entry>();
  readonly #busy = new Set<string>();
  readonly #turns = new Map<string, { readonly last: Promise<unknown>; readonly count: number }>();

  /** @param max how many there may be */
  constructor(max: number) {
    this.#max = max;
  }

  /** @throws LakeError not_found, unavailable */
  get(name: string): Known {
    const it = this.#entries.get(name);
    if (!it) throw this.none(name);
    if ("model" in it) return it;
    if (this.#busy.has(name))
      throw new LakeError("unavailable", `Index "${name}" is just being replaced; try again soon.`, {
        retry_after_s: 1,
      });
    throw new LakeError("unavailable", `Index "${name}" can't be used: ${it.unfit}. The log says more.`);
  }

  /** Whether there is one by this name, fit or not, or one is being made. */
  has(name: string): boolean {
    return this.#entries.has(name) || this.#busy.has(name);
  }

  /** Sorted. */
  names(): string[] {
    return [...this.#entries.keys()].sort();
  }

  /** Names of those that can be used, and of which nothing is being done. */
  fit(): string[] {
    return this.names().filter(
      (name) => "model" in (this.#entries.get(name) as Entry) && !this.#busy.has(name),
    );
  }

  /** Names of those that can't be used. */
  unfit(): string[] {
    return this.names().filter(
      (name) => "unfit" in (this.#entries.get(name) as Entry) && !this.#busy.has(name),
    );
  }

  /** That there is none by this name, and which one may have been meant; the lake's own are nobody's to ask for. */
  none(name: string): LakeError {
    const near = suggestNear(
      name,
      this.names().filter((it) => !it.startsWith(RESERVED)),
    );
    return new LakeError("not_found", `There is no index "${name}"${near}.`);
  }

  set(name: string, it: Known): void {
    this.#entries.set(name, it);
  }

  setAside(name: string, unfit: string): void {
    this.#entries.set(name, { unfit });
  }

  delete(name: string): void {
    this.#entries.delete(name);
  }

  /** @param instead what else can be asked for where there is one @throws LakeError conflict, resource_limit */
  refuseNew(name: string, instead = ""): void {
    if (this.has(name)) throw new LakeError("conflict", `There is an index "${name}" already.${instead}`);
    if (this.#entries.size + this.#busy.size >= this.#max)
      throw new LakeError(
        "resource_limit",
        `There may be at most ${this.#max} indexes (vectord.max_indexes).`,
      );
  }

  /** Whether this very one can still be used: it may have been replaced or removed during a wait. */
  isStill(name: string, it: Known): boolean {
    return this.#entries.get(name) === it;
  }

  /** Makes, replaces or removes one, while nobody else does. @throws LakeError conflict */
  async alone(name: string, work: () => Promise<void>): Promise<void> {
    if (this.#busy.has(name))
      throw new LakeError("conflict", `Index "${name}" is just being made, replaced or removed.`);
    this.#busy.add(name);
    try {
      await work();
    } finally {
      this.#busy.delete(name);
    }
  }

  /** What rewrites an index's files, removes or copies them goes one after another. @throws LakeError queue_full */
  async inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const { last = Promise.resolve(), count = 0 } = this.#turns.get(name) ?? {};
    if (count >= MAX_TURNS)
      throw new LakeError("queue_full", `${MAX_TURNS} others wait for index "${name}"; try again soon.`, {
        retry_after_s: 5,
      });
    const turn = last.then(work, work);
    this.#turns.set(name, { last: turn, count: count + 1 });
    try {
      return await turn;
    } finally {
      const { last: newest, count: left } = this.#turns.get(name) ?? { last: turn, count: 1 };
      if (left === 1) this.#turns.delete(name);
      else this.#turns.set(name, { last: newest, count: left - 1 });
    }
  }
}

/** @throws LakeError forbidden */
export function refuseReserved(name: string): void {
  if (name.startsWith(RESERVED))
    throw new LakeError(
      "forbidden",
      `"${name}" belongs to a service of this lake, as every index whose name begins with ${RESERVED}: ask that service, or choose another name.`,
    );
}

/** @throws LakeError resource_limit */
export function refuseItems(name: string, items: number, max_index_items: number, held = 0): void {
  if (items > max_index_items)
    throw new LakeError(
      "resource_limit",
      `Index "${name}" may hold at most ${max_index_items} items (vectord.max_index_items; it has ${held}).`,
    );
}
