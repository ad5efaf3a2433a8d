/** Lets the loop serve others in between, where work is long but not worth a Worker. */

const SLICE_MS = 4;

/** A pause that only happens where the work before it has taken its slice of time. */
export function pauser(): () => Promise<void> {
  let until_ms = performance.now() + SLICE_MS;
  return async () => {
    if (performance.now() < until_ms) return;
    await new Promise((resolve) => setImmediate(resolve));
    until_ms = performance.now() + SLICE_MS;
  };
}
