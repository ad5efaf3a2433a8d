/**
 * Hands a request on to a service in another process, and its answer back: both bodies as they come,
 * neither side's connection headers, no retry of anything that may have been carried out.
 *
 * It speaks HTTP/1.1 itself, over connections of its own, since fetch reaches 0.7 of nginx's pace here:
 * docs/decisions/2026-11-23-forwarding.md.
 */
import {
  Call,
  type Forwarded,
  NO_BODY,
  Outbox,
  SMALL_BYTES,
  STREAMED,
  type Upstream,
  Waiting,
} from "./forward_call.ts";
import type { Address } from "./http1/connection.ts";
import { Pool } from "./http1/pool.ts";
import { requestHead } from "./http1/request.ts";
import { createPulse } from "./pulse.ts";

export type { Forwarded };

export interface ForwardOptions {
  readonly service: string;
  readonly base_url: string;
  /** The Unix socket on which the same server listens, if it does. */
  readonly unix_path?: string;
  /** How long the answer may take to begin, counted from the last byte of the request. */
  readonly timeout_ms: number;
  /** How long the service may be without an answer and a sign of life, where that is shorter. */
  readonly silence_ms: number;
  /** The address of every client, where the listener can be reached from one only. */
  readonly peer?: string;
}

/** @param path with its query, as the service knows it. @returns the finished answer; it never rejects */
export type Forward = (asked: Forwarded, path: string) => Promise<Response>;

export function createForward(options: ForwardOptions): { forward: Forward; close(): void } {
  const { address, authority } = locate(options);
  const { service, timeout_ms, silence_ms, base_url } = options;
  const upstream: Upstream = {
    service,
    timeout_ms,
    ...(silence_ms < timeout_ms ? { pulse: createPulse(base_url, silence_ms) } : {}),
    pool: new Pool(address),
    waiting: new Waiting(),
    outbox: new Outbox(),
  };

  // Not async, and no stream where there is none: at small requests each promise counts.
  const forward: Forward = (asked, path) => {
    const { head, length } = requestHead(asked, path, authority, options.peer);
    const call = new Call(upstream, asked, head);
    if (length === 0) call.run(NO_BODY);
    else if (length === undefined || length > SMALL_BYTES) call.run(STREAMED);
    else
      asked.request.bytes().then(
        (body) => call.run(body),
        (error) => call.refuse(error),
      );
    return call.answer;
  };
  return { forward, close: () => upstream.pool.close() };
}

function locate({ base_url, unix_path }: ForwardOptions): { address: Address; authority: string } {
  const url = new URL(base_url);
  const is_tls = url.protocol === "https:";
  const port = url.port === "" ? (is_tls ? 443 : 80) : Number(url.port);
  return {
    address: { hostname: url.hostname.replace(/^\[|\]$/g, ""), port, is_tls, unix_path },
    authority: url.host,
  };
}
