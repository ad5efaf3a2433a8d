/**
 * Reads HTTP/1.1 responses off a byte stream (RFC 9112), fed chunk by chunk as they arrive.
 * Pure: it holds no socket, so every split of the bytes can be tested.
 */

import { type Head, readHead, WireError } from "./head.ts";

export interface ResponseHead {
  readonly status: number;
  readonly headers: Head["headers"];
  /** The same, as a Response takes them at the least cost; shared: set what is yours and make it at once. */
  readonly template: Headers;
  /** Bytes of the body; undefined where only its end will tell. */
  readonly length: number | undefined;
}

/** Told of a response's parts as they are read; `end` is told once, unless reading throws. */
export interface ResponseSink {
  head(head: ResponseHead): void;
  /** Its own from now on. */
  body(bytes: Uint8Array): void;
  /** @param is_reusable whether the connection may carry another exchange */
  end(is_reusable: boolean): void;
}

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_CHUNK_LINE_BYTES = 4096;
const LF = 10;
/** As bytes: to look for a string costs five times as much. */
const EMPTY_LINE = Buffer.from("\r\n\r\n");
const NOTHING = Buffer.alloc(0);

type State = "head" | "counted" | "until_close" | "chunk_size" | "chunk" | "chunk_end" | "trailer" | "done";

/** Reads one response after another; `expect` says for which request the next one comes. */
export class ResponseReader {
  #state: State = "done";
  #held: Buffer = NOTHING;
  /** Bytes of the body, or of the chunk, that are still to come. */
  #remaining = 0;
  #is_reusable = true;
  #trailer_bytes = 0;
  #is_head_request = false;
  #sink!: ResponseSink;

  expect(sink: ResponseSink, is_head_request: boolean): void {
    this.#sink = sink;
    this.#is_head_request = is_head_request;
    this.#state = "head";
    this.#is_reusable = true;
  }

  /** Whether any byte of the response under way has come. */
  get is_begun(): boolean {
    return this.#state !== "head" || this.#held.length > 0;
  }

  /** @throws WireError where the bytes are no response, or come after its end */
  feed(chunk: Buffer): void {
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    while (bytes.length > 0) {
      const taken = this.#step(bytes);
      if (taken === 0) {
        this.#held = Buffer.from(bytes);
        return;
      }
      if (taken === bytes.length) return;
      bytes = bytes.subarray(taken);
    }
  }

  /** The peer has closed. @throws WireError where the response was not whole */
  close(): void {
    if (this.#state === "until_close") this.#finish();
    else if (this.#state !== "done") throw new WireError("the connection closed within the answer");
  }

  /** @returns the bytes used, 0 where more must come first */
  #step(bytes: Buffer): number {
    switch (this.#state) {
      case "head":
        return this.#readHead(bytes);
      case "counted":
      case "chunk":
        return this.#readBody(bytes);
      case "until_close":
        this.#sink.body(bytes);
        return bytes.length;
      case "chunk_size":
        return this.#readChunkSize(bytes);
      case "chunk_end":
        return this.#readChunkEnd(bytes);
      case "trailer":
        return this.#readTrailer(bytes);
      case "done":
        throw new WireError("bytes came after the answer's end");
    }
  }

  #readHead(bytes: Buffer): number {
    const end = bytes.indexOf(EMPTY_LINE);
    if (end > MAX_HEAD_BYTES || (end < 0 && bytes.length > MAX_HEAD_BYTES))
      throw new WireError(`the answer's head passes ${MAX_HEAD_BYTES} bytes`);
    if (end < 0) return 0;
    const read = readHead(bytes.toString("latin1", 0, end));
    const { status, length, is_chunked, is_last } = read;
    if (status < 200) return end + 4; // interim answers (100, 103) are not for the client
    const is_empty = this.#is_head_request || status === 204 || status === 304;
    const until_close = !is_empty && !is_chunked && length === undefined;
    this.#is_reusable = !is_last && !until_close;
    this.#remaining = length ?? 0;
    this.#state = is_chunked ? "chunk_size" : until_close ? "until_close" : "counted";
    let { headers, template } = read;
    if (this.#is_head_request && length !== undefined) {
      headers = [...headers, ["content-length", String(length)]];
      template = new Headers(headers as [string, string][]);
    }
    this.#sink.head({ status, headers, template, length: is_empty ? 0 : length });
    if (is_empty || (this.#state === "counted" && length === 0)) this.#finish();
    return end + 4;
  }

  #readBody(bytes: Buffer): number {
    const taken = Math.min(bytes.length, this.#remaining);
    this.#remaining -= taken;
    this.#sink.body(taken === bytes.length ? bytes : bytes.subarray(0, taken));
    if (this.#remaining > 0) return taken;
    if (this.#state === "chunk") this.#state = "chunk_end";
    else this.#finish();
    return taken;
  }

  #readChunkSize(bytes: Buffer): number {
    const line = lineOf(bytes);
    if (line === undefined) return 0;
    const size = /^([0-9a-fA-F]{1,13})[ \t]*(;.*)?$/.exec(line.text)?.[1];
    if (size === undefined) throw new WireError("a chunk has no valid size");
    this.#remaining = Number.parseInt(size, 16);
    this.#trailer_bytes = 0;
    this.#state = this.#remaining === 0 ? "trailer" : "chunk";
    return line.bytes;
  }

  #readChunkEnd(bytes: Buffer): number {
    if (bytes.length < 2) return 0;
    if (bytes[0] !== 13 || bytes[1] !== LF) throw new WireError("a chunk is longer than its size");
    this.#state = "chunk_size";
    return 2;
  }

  /** Trailers are dropped: they belong to this hop, since Bun's server sends none. */
  #readTrailer(bytes: Buffer): number {
    const line = lineOf(bytes);
    if (line === undefined) return 0;
    this.#trailer_bytes += line.bytes;
    if (this.#trailer_bytes > MAX_HEAD_BYTES) throw new WireError("the trailers are too long");
    if (line.text === "") this.#finish();
    return line.bytes;
  }

  #finish(): void {
    this.#state = "done";
    this.#sink.end(this.#is_reusable);
  }
}

function lineOf(bytes: Buffer): { text: string; bytes: number } | undefined {
  const at = bytes.indexOf(LF);
  if (at > MAX_CHUNK_LINE_BYTES || (at < 0 && bytes.length > MAX_CHUNK_LINE_BYTES))
    throw new WireError("a chunk's line is too long");
  if (at < 0) return undefined;
  return { text: bytes.toString("latin1", 0, at > 0 && bytes[at - 1] === 13 ? at - 1 : at), bytes: at + 1 };
}
