/** Makes of Elysia's schemas what an OpenAPI document means by them. */

import { codeOf, titleOf } from "./errors.ts";
import { PROBLEM_JSON } from "./problems.ts";

type Node = Record<string, unknown>;

/** Where a route's own example waits until its request body is known. */
export const BODY_EXAMPLE = "x-body-example";
/** Elysia's types for values that also arrive as text, in a query. */
const TEXT_FORMS = new Set(["integer", "numeric", "boolean", "ObjectString", "ArrayString"]);

/**
 * The same operations, with a coerced type told as what it becomes (a query's `"5"` is an integer),
 * and with each route's example in its request body.
 */
export function meant<T>(value: T): T {
  if (Array.isArray(value)) return value.map(meant) as T;
  if (!isNode(value)) return value;
  const { [BODY_EXAMPLE]: example, ...node } = uncoerced(value);
  // What a refusal says of a pattern: of no use to a client, and no keyword of OpenAPI.
  if (typeof node.pattern === "string") delete node.error;
  const copy: Node = Object.fromEntries(Object.entries(node).map(([name, inner]) => [name, meant(inner)]));
  if (isNode(copy.requestBody)) copy.requestBody.content = bodies(copy.requestBody.content, example);
  return (isParameter(copy) ? shown(copy) : copy) as T;
}

/** A parameter shows its schema's first example, where it must be given; an optional one is not filled in. */
function shown({ examples, ...parameter }: Node): Node {
  const [example] = Array.isArray(examples) ? examples : [];
  return parameter.required === true && example !== undefined ? { example, ...parameter } : parameter;
}

function isParameter(node: Node): boolean {
  return typeof node.in === "string" && typeof node.name === "string" && isNode(node.schema);
}

function uncoerced(node: Node): Node {
  if (!Array.isArray(node.anyOf)) return node;
  const kept = (node.anyOf as Node[]).filter(
    (it) => !(it.type === "string" && TEXT_FORMS.has(String(it.format))),
  );
  if (kept.length === node.anyOf.length) return node;
  const { anyOf: _, ...rest } = node;
  return kept.length === 1 ? { ...rest, ...kept[0] } : { ...rest, anyOf: kept };
}

/** A body of JSON is not also a form and a text, as Elysia's plugin has it; each kind shows the example. */
function bodies(content: unknown, example: unknown): Node {
  const kinds = Object.entries((content ?? {}) as Record<string, Node>);
  const guessed = kinds.map(([type]) => type).join() === "application/json,multipart/form-data,text/plain";
  const kept = guessed ? kinds.slice(0, 1) : kinds;
  return Object.fromEntries(
    kept.map(([type, media]) => [
      type,
      example === undefined || isBinary(media) ? media : { example, ...media },
    ]),
  );
}

function isBinary({ schema }: Node): boolean {
  return isNode(schema) && schema.format === "binary";
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null;
}

/** The problems a route may answer, each with an example of its own. */
export function problemAnswers(
  statuses: readonly number[],
): Record<number, { description: string; content: Node }> {
  return Object.fromEntries(
    statuses.map((status) => {
      const code = codeOf(status);
      const title = titleOf(code);
      const example = {
        type: `urn:lakehouse:problem:${code}`,
        title,
        status,
        detail: "what happened, and what to do about it",
        code,
        request_id: "01a20849-1802-7327-ad81-ef852a4a0d84",
      };
      const media = { schema: { $ref: "#/components/schemas/Problem" }, example };
      return [status, { description: title, content: { [PROBLEM_JSON]: media } }];
    }),
  );
}
