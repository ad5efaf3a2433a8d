/** The time by which a search must be done, looked at now and then. */
import { LakeError } from "../../shared/errors.ts";

/** Looking at the clock costs about as much as so many checks. */
const CHECKS = 512;

export class Deadline {
  readonly #until_ms: number;
  #checks = 0;

  constructor(until_ms: number) {
    this.#until_ms = until_ms;
    this.#look();
  }

  /** @throws LakeError deadline */
  check(): void {
    if (++this.#checks % CHECKS === 0) this.#look();
  }

  #look(): void {
    if (Date.now() > this.#until_ms)
      throw new LakeError(
        "deadline",
        "The search took longer than vectord.search_timeout_ms: ask for less (k, ef, exact, a filter on fields that are not indexed), or try again when fewer wait.",
      );
  }
}
