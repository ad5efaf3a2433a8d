/** The Workers that search: each index is in one of them, so that several indexes are searched at once. */
import type { Line } from "./line.ts";
import type { SearcherApi } from "./searcher.ts";

/** What is asked of one index, whose name comes first. */
type OfIndex = Exclude<keyof SearcherApi, "begin" | "close">;
type Answer<Name extends OfIndex> = Promise<Awaited<ReturnType<SearcherApi[Name]>>>;

export class Searchers {
  readonly #lines: readonly Line<SearcherApi>[];
  /** By index: where it is. */
  readonly #places = new Map<string, Line<SearcherApi>>();

  /** @param lines at least one */
  constructor(lines: readonly Line<SearcherApi>[]) {
    this.#lines = lines;
  }

  get waiting(): number {
    return this.#lines.reduce((sum, { waiting }) => sum + waiting, 0);
  }

  /** Why one of them can't be asked any more; undefined while all live. */
  get dead(): string | undefined {
    return this.#lines.find(({ dead }) => dead !== undefined)?.dead;
  }

  async begin(...args: Parameters<SearcherApi["begin"]>): Promise<void> {
    await Promise.all(this.#lines.map((it) => it.insist("begin", args)));
  }

  /** @throws LakeError queue_full, unavailable, or what the Worker threw */
  ask<Name extends OfIndex>(method: Name, args: Parameters<SearcherApi[Name]>): Answer<Name> {
    return this.#placeOf(method, args[0]).ask(method, args);
  }

  /** As `ask`, however many wait: for what must not be refused. */
  insist<Name extends OfIndex>(method: Name, args: Parameters<SearcherApi[Name]>): Answer<Name> {
    return this.#placeOf(method, args[0]).insist(method, args);
  }

  /** Saves what those that live hold, and ends all. */
  async close(): Promise<void> {
    await Promise.all(this.#lines.map((it) => (it.dead === undefined ? it.insist("close", []) : undefined)));
    for (const it of this.#lines) it.end();
  }

  /** An index goes where the fewest are; one that is nowhere is asked for anywhere, and not found. */
  #placeOf(method: OfIndex, name: string): Line<SearcherApi> {
    const place = this.#places.get(name) ?? this.#leastTaken();
    if (method === "open") this.#places.set(name, place);
    if (method === "drop") this.#places.delete(name);
    return place;
  }

  #leastTaken(): Line<SearcherApi> {
    const taken = new Map(this.#lines.map((it) => [it, 0]));
    for (const place of this.#places.values()) taken.set(place, (taken.get(place) ?? 0) + 1);
    const [first] = [...taken].sort((a, b) => a[1] - b[1]);
    if (first === undefined) throw new Error("there is no searcher");
    return first[0];
  }
}
