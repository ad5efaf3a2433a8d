/** A time by which an answer must be there, and what is given up for it. */
import { LakeError } from "../../shared/errors.ts";

export class Deadline {
  readonly #at_ms: number;

  constructor(
    readonly total_ms: number,
    readonly now_ms: () => number,
  ) {
    this.#at_ms = now_ms() + total_ms;
  }

  /**
   * Waits for work until so long before the deadline.
   * @throws LakeError deadline; what the work throws
   */
  async within<T>(reserved_ms: number, work: () => Promise<T>): Promise<T> {
    const left_ms = Math.max(0, this.#at_ms - reserved_ms - this.now_ms());
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, refuse) => {
      const message = `There was no answer within ${Math.round(this.total_ms - reserved_ms)} ms.`;
      timer = setTimeout(() => refuse(new LakeError("deadline", message)), left_ms);
    });
    try {
      return await Promise.race([work(), late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
