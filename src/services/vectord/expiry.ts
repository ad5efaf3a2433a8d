/** Removing the items whose time has passed; they are not found any more as it is. */
import type { Indexes } from "./indexes.ts";
import type { Deleted } from "./schema.ts";

export interface ExpiryOptions {
  readonly indexes: Indexes;
  /** Removes some of an index's. */
  expire(name: string): Promise<Deleted>;
  failed(name: string, error: unknown): void;
}

/** All of them, however many; an index where that fails keeps none of the others waiting. */
export async function removeExpired({ indexes, expire, failed }: ExpiryOptions): Promise<void> {
  for (const name of indexes.fit())
    try {
      while ((await expire(name)).deleted > 0);
    } catch (error) {
      // It may have been dropped meanwhile.
      if (indexes.has(name)) failed(name, error);
    }
}
