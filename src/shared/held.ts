/** Bodies of requests that are held in memory: counted while they are, since many large ones at once are too many. */
import { LakeError } from "./errors.ts";

/** Smaller ones are not counted: of those there are no more than connections. */
export const UNCOUNTED_BYTES = 64 * 1024;

/** What a listener holds of bodies, over all its requests. */
export class HeldBytes {
  readonly #max_bytes: number;
  #bytes = 0;

  constructor(max_bytes: number) {
    this.#max_bytes = max_bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @throws LakeError queue_full, with nothing taken */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.#max_bytes)
      throw new LakeError(
        "queue_full",
        `The bodies of requests under way take ${this.#bytes} bytes, and this one does not fit into ${this.#max_bytes} beside them (max_held_bytes); try again soon.`,
        { retry_after_s: 1 },
      );
    this.#bytes += bytes;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

/** A request as those who read its body know it. */
export interface Held {
  /** Counts more bytes as held until the request is answered. @throws LakeError queue_full */
  hold(bytes: number): void;
}

const known = new WeakMap<Request, Held>();

/** Has what is read of a request's body counted. */
export function countHeld(request: Request, held: Held): void {
  known.set(request, held);
}

export interface ReadOptions {
  readonly max_bytes: number;
  /** The refusal of a body that is larger. */
  tooLarge(): LakeError;
}

/**
 * A declared length that may be read, counted; undefined where none is declared.
 * @throws LakeError as `tooLarge`, queue_full
 */
export function declaredBytes(request: Request, { max_bytes, tooLarge }: ReadOptions): number | undefined {
  const declared = request.headers.get("content-length");
  if (declared === null) return undefined;
  const bytes = Number(declared);
  if (bytes > max_bytes) throw tooLarge();
  if (bytes > UNCOUNTED_BYTES) known.get(request)?.hold(bytes);
  return bytes;
}

/** A body's chunks, counted as they arrive; to be kept, not passed on. @throws LakeError as `tooLarge`, queue_full */
async function* arriving(request: Request, { max_bytes, tooLarge }: ReadOptions): AsyncGenerator<Uint8Array> {
  const held = known.get(request);
  let bytes = 0;
  let counted = UNCOUNTED_BYTES;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > max_bytes) throw tooLarge();
    if (bytes > counted) {
      held?.hold(bytes - counted);
      counted = bytes;
    }
    yield chunk;
  }
}

/** A whole body, in a buffer of its own. @throws LakeError as `tooLarge`, queue_full; invalid where it is cut short */
export async function readBytes(request: Request, options: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
  const declared = declaredBytes(request, options);
  let bytes: Uint8Array<ArrayBuffer>;
  if (declared === undefined) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of arriving(request, options)) chunks.push(chunk);
    bytes = joined(chunks);
  } else bytes = await request.bytes();
  // A sender that is gone can look like the end of the body.
  if (request.signal.aborted || (declared !== undefined && bytes.byteLength !== declared))
    throw new LakeError("invalid", "The body was cut short.");
  return bytes;
}

/** A whole body of text that says no length. @throws LakeError as `tooLarge`, queue_full */
export async function readArriving(request: Request, options: ReadOptions): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: false });
  let text = "";
  for await (const chunk of arriving(request, options)) text += decoder.decode(chunk, { stream: true });
  return text + decoder.decode();
}

function joined(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(chunks.reduce((sum, it) => sum + it.byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
