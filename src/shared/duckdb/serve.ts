/** A process with DuckDB from within: it can be killed on time and on memory, and takes nothing else down with it. */
import { type ErrorCode, type ErrorDetails, LakeError, messageOf } from "../errors.ts";
import { type Engine, type EngineOptions, firstLine, openEngine } from "./engine.ts";

/** What can be asked, by kind: a request, as JSON, and what is answered to it. */
export type Work<W> = { [Kind in keyof W]: (request: never) => unknown };

export type Ask = { open: EngineOptions } | { kind: string; request: unknown };
export type Reply<Progress> =
  | { answer: unknown }
  | { progress: Progress }
  | { failed: { code: ErrorCode; message: string; details: ErrorDetails } };

type Handler<Request, Answer, Progress> = (
  engine: Engine,
  request: Request,
  tell: (progress: Progress) => void,
) => Promise<Answer>;
export type Handlers<W extends Work<W>, Progress> = {
  [Kind in keyof W]: Handler<Parameters<W[Kind]>[0], ReturnType<W[Kind]>, Progress>;
};

/**
 * Answers an `EngineProcess`, one question after another.
 * @param limit_hint what a failure for lack of memory says of the setting: "(ingestd.memory_limit_mib)"
 */
export function serveEngine<W extends Work<W>, Progress>(
  what: string,
  limit_hint: string,
  handlers: Handlers<W, Progress>,
): void {
  let engine: Engine | undefined;
  const send = (reply: Reply<Progress>) => process.send?.(reply);
  const answer = async (ask: Ask): Promise<Reply<Progress>> => {
    if ("open" in ask) {
      engine = await openEngine(ask.open);
      return { answer: null };
    }
    if (engine === undefined) throw new Error("asked before it was opened");
    const handler = (handlers as Record<string, Handler<unknown, unknown, Progress>>)[ask.kind];
    if (handler === undefined) throw new Error(`asked for "${ask.kind}", which is not known`);
    return { answer: await handler(engine, ask.request, (progress) => send({ progress })) };
  };
  process.on("message", (ask: Ask) => {
    answer(ask)
      .catch((error: unknown): Reply<Progress> => ({ failed: failure(error, what, limit_hint) }))
      .then(send);
  });
  // A terminal and systemd signal the whole group; when a worker ends is for its parent to say.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
  // Without its parent there is nobody to answer.
  process.on("disconnect", () => process.exit(0));
}

/** What went wrong as the parent may tell it: DuckDB's messages name paths of this machine. */
function failure(error: unknown, what: string, limit_hint: string) {
  if (error instanceof LakeError) return { code: error.code, message: error.message, details: error.details };
  const message = messageOf(error);
  // A parser takes any depth; what looks at a value member by member does not.
  if (error instanceof RangeError && message.startsWith("Maximum call stack"))
    return { code: "invalid" as const, message: "A value is nested too deeply.", details: {} };
  if (/Out of Memory|max_temp_directory_size/.test(message))
    return {
      code: "resource_limit" as const,
      message: `The ${what} needed more memory or scratch space than it may have ${limit_hint}.`,
      details: {},
    };
  return { code: "internal" as const, message: firstLine(error), details: {} };
}
