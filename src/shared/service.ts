/** The shape every service has, whether it is mounted or runs alone. */
import type { AnyElysia } from "elysia";
import type { Config } from "../config.ts";
import type { Door } from "./http.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

export type Health = { status: "ok" | "degraded" | "down" } & Record<string, unknown>;

/** What a service is given besides its neighbours. */
export interface ServiceContext {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly door: Door;
}

/** A service, built and ready to answer. `domain` is what a neighbour in the same process is handed. */
export interface Service<Interface> {
  readonly domain: Interface;
  readonly routes: AnyElysia;
  /**
   * Operations that the OpenAPI generator leaves out (wildcard routes), for the merged document: by path
   * as clients of the service write it (`/storage/put/{key}`, without /v1), then by method in lower case.
   */
  readonly documented?: Readonly<Record<string, Readonly<Record<string, object>>>>;
  /** Its state, told in /health; never throws. */
  health(): Health | Promise<Health>;
  /** Finishes what is under way and flushes; called once, after the listener has stopped. */
  close(): Promise<void>;
}
