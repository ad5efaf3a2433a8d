/**
 * JSON has numbers: a body's `"3"` is none. Elysia's `t.Integer` takes it all the same, as it must in a query,
 * and where a schema has one it also takes a list for an object, to fill in defaults.
 */
import { OptionalKind, TypeGuard } from "@sinclair/typebox";
import type { AnyElysia, TSchema } from "elysia";

/** Has the bodies of these routes take whole numbers as numbers only; to be called before they are mounted. */
export function exactBodies(routes: AnyElysia): AnyElysia {
  for (const { hooks } of routes.routes) {
    const { body } = hooks as { body?: unknown };
    if (body !== undefined) Object.assign(hooks as object, { body: exact(body) });
  }
  return routes;
}

function exact(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(exact);
  if (typeof node !== "object" || node === null) return node;
  const whole = wholeNumberOf(node as TSchema);
  if (whole) return OptionalKind in node ? { ...whole, [OptionalKind]: "Optional" } : whole;
  const copy: Record<string | symbol, unknown> = { ...node };
  for (const name of Object.keys(copy)) copy[name] = exact(copy[name]);
  return copy;
}

/** The number of a union that Elysia made of it and of its text. */
function wholeNumberOf({ anyOf }: TSchema): TSchema | undefined {
  if (!Array.isArray(anyOf) || !anyOf.some((it) => it?.type === "string" && it.format === "integer"))
    return undefined;
  return anyOf.find((it) => TypeGuard.IsInteger(it));
}
