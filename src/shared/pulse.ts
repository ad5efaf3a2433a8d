/** Whether a service that takes long over an answer still lives: a hung one must not hold its callers for an hour. */

export interface Pulse {
  /** How long a call waits before it asks, and waits again before it asks anew. */
  readonly after_ms: number;
  /** Asks the service's /health, once for all who wonder meanwhile; only silence is no sign of life. */
  beats(): Promise<boolean>;
}

/** @param silence_ms after so long without an answer or a sign of life a service counts as hung */
export function createPulse(base_url: string, silence_ms: number): Pulse {
  const after_ms = Math.ceil(silence_ms / 2);
  let asking: Promise<boolean> | undefined;
  const ask = async () => {
    try {
      const response = await fetch(new URL("/health", base_url), {
        redirect: "manual",
        signal: AbortSignal.timeout(after_ms),
      });
      await response.body?.cancel();
      return true;
    } catch (error) {
      // One that is stopping refuses, and ends what it has begun; of one that died the call itself is told.
      return (error as Error).name !== "TimeoutError";
    } finally {
      asking = undefined;
    }
  };
  return {
    after_ms,
    beats: () => {
      asking ??= ask();
      return asking;
    },
  };
}
