/** The one file of a multipart/form-data body (RFC 7578), streamed as it arrives. */
import { LakeError } from "../../shared/errors.ts";

export interface FilePart {
  body: AsyncIterable<Uint8Array>;
  filename: string | null;
  content_type: string | null;
}

const MAX_HEADER_BYTES = 16 * 1024;
const HEADERS_END = Buffer.from("\r\n\r\n");

/** @throws LakeError invalid for a form that holds anything but one file */
export async function openMultipart(
  body: AsyncIterable<Uint8Array>,
  content_type: string,
): Promise<FilePart> {
  const found = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))/i.exec(content_type);
  if (!found) throw malformed("its Content-Type names no boundary");
  const boundary = Buffer.from(`\r\n--${found[1] ?? found[2]}`);
  const input = new Pieces(body);
  // The first boundary has no line before it.
  input.prepend(Buffer.from("\r\n"));
  const start = await input.until(boundary, MAX_HEADER_BYTES);
  if (start === undefined) throw malformed("its boundary does not occur in it");
  const headers = await input.until(HEADERS_END, MAX_HEADER_BYTES);
  if (headers === undefined) throw malformed("a part has no end to its headers");
  const text = headers.toString("utf8");
  const disposition = /^content-disposition:(.*)$/im.exec(text)?.[1] ?? "";
  const filename = /\bfilename="((?:[^"\\]|\\.)*)"/i.exec(disposition)?.[1] ?? null;
  const name = /\bname="((?:[^"\\]|\\.)*)"/i.exec(disposition)?.[1] ?? "";
  if (filename === null && name !== "file")
    throw malformed(`the field "${name.slice(0, 100)}" is no file; options belong in the query`);
  const type = /^content-type:(.*)$/im.exec(text)?.[1]?.trim() ?? null;
  return { body: content(input, boundary), filename, content_type: type };
}

async function* content(input: Pieces, boundary: Buffer): AsyncGenerator<Uint8Array> {
  yield* input.before(boundary);
  const after = await input.take(2);
  if (after.toString("latin1") !== "--")
    throw malformed("it holds more than one part; send one file at a time, options in the query");
}

function malformed(why: string): LakeError {
  return new LakeError("invalid", `The multipart/form-data body can't be read: ${why}.`);
}

/** Bytes that come in pieces, searched across their seams. */
class Pieces {
  readonly #source: AsyncIterator<Uint8Array>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  prepend(bytes: Buffer): void {
    this.#held = Buffer.concat([bytes, this.#held]);
  }

  async #more(): Promise<boolean> {
    const { value, done } = await this.#source.next();
    if (done) return false;
    const chunk = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    return true;
  }

  /** The bytes before a mark, which is passed; undefined where it doesn't come within `most` bytes. */
  async until(mark: Buffer, most: number): Promise<Buffer | undefined> {
    for (;;) {
      const at = this.#held.indexOf(mark);
      if (at >= 0) {
        const before = this.#held.subarray(0, at);
        this.#held = this.#held.subarray(at + mark.length);
        return before;
      }
      if (this.#held.length > most || !(await this.#more())) return undefined;
    }
  }

  async take(count: number): Promise<Buffer> {
    while (this.#held.length < count && (await this.#more()));
    return this.#held.subarray(0, count);
  }

  /** All bytes before the mark, as they come. @throws LakeError invalid where the mark never comes */
  async *before(mark: Buffer): AsyncGenerator<Uint8Array> {
    for (;;) {
      const at = this.#held.indexOf(mark);
      const safe = at >= 0 ? at : Math.max(0, this.#held.length - mark.length + 1);
      if (safe > 0) yield this.#held.subarray(0, safe);
      this.#held = this.#held.subarray(at >= 0 ? at + mark.length : safe);
      if (at >= 0) return;
      if (!(await this.#more())) throw malformed("it ends before its last boundary");
    }
  }
}
