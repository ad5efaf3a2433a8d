/**
 * What Elysia compiles into each route to read its body: our one parser, called directly. Its own code for a named
 * parser first asks for `request.body`, which makes a stream of each body, and deletes a member of the context, which
 * makes every later look at it slow; together 0.5 to 1 µs of each small POST (docs/decisions/2026-11-23-edge.md).
 */
import type { AnyElysia } from "elysia";
import { BunAdapter } from "elysia/adapter/bun";

/** The name under which the parser is registered. */
export const PARSER = "bounded";

/** What the parser is given besides the context: those of the route itself, for content types that are not JSON. */
export type RouteParser = (context: { request: Request; contentType: string }) => unknown;

/** For the composition's Elysia, whose routes are parsed as "json": that is where Elysia asks an adapter. */
export const bodyAdapter: AnyElysia["~adapter"] = {
  ...BunAdapter,
  composeHandler: {
    ...BunAdapter.composeHandler,
    parser: {
      ...BunAdapter.composeHandler.parser,
      json: () => `c.body=await parser.${PARSER}(c,e.parse)\n`,
    },
  },
};
