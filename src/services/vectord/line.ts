/** Asking a Worker: calls by name, answered in their own time, errors in our words, a bounded number waiting. */
import { LakeError, messageOf } from "../../shared/errors.ts";
import { diskFault } from "./disk.ts";

type Method = (...args: never[]) => unknown;
/** What a Worker can be asked, by name. */
export type Api<T> = { [Name in keyof T]: Method };

interface Call {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}
type Reply =
  | { readonly warning: string }
  | { readonly lost: string; readonly reason: string }
  | { readonly id: number; readonly value: unknown }
  | {
      readonly id: number;
      readonly code: LakeError["code"];
      readonly message: string;
      readonly details: object;
    };

export interface LineOptions {
  readonly name: string;
  readonly url: URL;
  /** Calls without an answer, at most. */
  readonly max_waiting: number;
  died(reason: string): void;
  /** Told what the Worker could not do, that nobody waits for. */
  warned(reason: string): void;
  /** Told of an index that the Worker had to give up. */
  lost(name: string, reason: string): void;
}

export class Line<T extends Api<T>> {
  readonly #options: LineOptions;
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #count = 0;
  #dead: string | undefined;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#worker = new Worker(options.url.href);
    this.#worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.#take(data));
    this.#worker.addEventListener("error", ({ message }) => this.#die(message));
    this.#worker.addEventListener("close", () => this.#die("it ended"));
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Why the Worker can't be asked any more; undefined while it lives. */
  get dead(): string | undefined {
    return this.#dead;
  }

  /** @throws LakeError queue_full, unavailable, or what the Worker threw */
  ask<Name extends keyof T & string>(
    method: Name,
    args: Parameters<T[Name]>,
    transfer: Bun.Transferable[] = [],
  ): Promise<Awaited<ReturnType<T[Name]>>> {
    const { name, max_waiting } = this.#options;
    if (this.#waiting.size >= max_waiting)
      throw new LakeError(
        "queue_full",
        `${max_waiting} calls already wait for the ${name}; try again soon.`,
        {
          retry_after_s: 1,
        },
      );
    return this.#send(method, args, transfer);
  }

  /** As `ask`, however many wait: for what must not be refused. */
  insist<Name extends keyof T & string>(
    method: Name,
    args: Parameters<T[Name]>,
  ): Promise<Awaited<ReturnType<T[Name]>>> {
    return this.#send(method, args, []);
  }

  #send<Result>(method: string, args: readonly unknown[], transfer: Bun.Transferable[]): Promise<Result> {
    if (this.#dead !== undefined)
      throw new LakeError("unavailable", `vectord's ${this.#options.name} has failed; restart it.`);
    const id = ++this.#count;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#worker.postMessage({ id, method, args } satisfies Call, transfer);
    return answer.promise as Promise<Result>;
  }

  end(): void {
    this.#dead ??= "it was closed";
    this.#worker.terminate();
  }

  #take(reply: Reply): void {
    if ("warning" in reply) {
      this.#options.warned(reply.warning);
      return;
    }
    if ("lost" in reply) {
      this.#options.lost(reply.lost, reply.reason);
      return;
    }
    const answer = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (!("code" in reply)) answer?.resolve(reply.value);
    else if (reply.code === "internal")
      answer?.reject(new LakeError("internal", "Internal error", {}, new Error(reply.message)));
    else answer?.reject(new LakeError(reply.code, reply.message, { ...reply.details }));
  }

  #die(reason: string): void {
    if (this.#dead !== undefined) return;
    this.#dead = reason;
    const error = new LakeError("unavailable", `vectord's ${this.#options.name} has failed; restart it.`);
    for (const answer of this.#waiting.values()) answer.reject(error);
    this.#waiting.clear();
    this.#options.died(reason);
  }
}

/** In the Worker: tells the log of something that nobody waits for. */
export function warn(warning: string): void {
  postMessage({ warning } satisfies Reply);
}

/** In the Worker: tells that an index can't be used any more. */
export function giveUp(lost: string, reason: string): void {
  postMessage({ lost, reason } satisfies Reply);
}

/** Calls are answered for so long, then whatever else the Worker has to do gets its turn. */
const TURN_MS = 3;

/**
 * The Worker's end: answers calls one after another; one that takes its time in pieces lets others in between.
 * A Worker takes messages as long as there are any, before timers and setImmediate; so each is only put down, and
 * answered in a turn of its own, or a steady stream of calls would keep everything else waiting.
 */
export function serve<T extends Api<T>>(api: T): void {
  const methods = api as Record<string, Method>;
  const waiting: Call[] = [];
  const takeTurn = () => {
    const until_ms = performance.now() + TURN_MS;
    for (let call = waiting.shift(); call; call = performance.now() < until_ms ? waiting.shift() : undefined)
      answer(methods, call);
    if (waiting.length > 0) setImmediate(takeTurn);
  };
  self.addEventListener("message", ({ data }: MessageEvent<Call>) => {
    if (waiting.push(data) === 1) setImmediate(takeTurn);
  });
}

function answer(methods: Record<string, Method>, { id, method, args }: Call): void {
  const reply = (value: unknown) => postMessage({ id, value } satisfies Reply);
  const refuse = (error: unknown) => {
    const known = error instanceof LakeError ? error : diskFault(error);
    postMessage({
      id,
      code: known?.code ?? "internal",
      message: known?.message ?? messageOf(error),
      details: known?.details ?? {},
    } satisfies Reply);
  };
  try {
    const value = (methods[method] as Method)(...(args as never[]));
    if (value instanceof Promise) value.then(reply, refuse);
    else reply(value);
  } catch (error) {
    refuse(error);
  }
}
