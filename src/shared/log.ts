/** JSON lines on standard error; standard output is for what a person asked for (the address, a key). */
import pino from "pino";

/** The part of a logger that the code uses; no body and no secret is ever handed to it. */
export type Log = Pick<
  pino.Logger,
  "debug" | "info" | "warn" | "error" | "child" | "level" | "isLevelEnabled"
>;

export function createLog(level: string, bindings: Record<string, string> = {}): Log {
  return pino(
    {
      level,
      base: bindings,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
