/** One of some words, in a body or an answer. */
import { t } from "elysia";

/** A string and a pattern, not a union: what is refused is then told with what is wanted. */
export const oneOf = <const T extends string>(values: readonly T[], description: string) =>
  t.Unsafe<T>(t.String({ pattern: `^(${values.join("|")})$`, enum: values, description }));
