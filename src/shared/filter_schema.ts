/** Filters on the items' metadata, as they come. */
import { type Static, t } from "elysia";

const MAX_CONDITIONS = 64;
const MAX_VALUES = 1000;

export const FieldKey = t.String({
  minLength: 1,
  maxLength: 512,
  description: "a member of the metadata; a dot goes deeper",
});
const Scalar = t.Union([t.String(), t.Number(), t.Boolean()]);
const Bound = t.Union([t.Number(), t.String()]);
export interface Filter {
  must?: Clause[];
  should?: Clause[];
  must_not?: Clause[];
}
export type Scalar = Static<typeof Scalar>;
export interface Condition {
  key: string;
  match?: Scalar;
  any?: Scalar[];
  range?: { gt?: number | string; gte?: number | string; lt?: number | string; lte?: number | string };
  exists?: boolean;
  is_null?: boolean;
}
export type Clause = Condition | Filter;

export const ConditionSchema = t.Object(
  {
    key: FieldKey,
    match: t.Optional(Scalar),
    any: t.Optional(t.Array(Scalar, { maxItems: MAX_VALUES })),
    range: t.Optional(
      t.Object(
        { gt: t.Optional(Bound), gte: t.Optional(Bound), lt: t.Optional(Bound), lte: t.Optional(Bound) },
        { additionalProperties: false, minProperties: 1 },
      ),
    ),
    exists: t.Optional(t.Boolean()),
    is_null: t.Optional(t.Boolean()),
  },
  {
    additionalProperties: false,
    minProperties: 2,
    maxProperties: 2,
    description: "a key and one test of it",
  },
);
/** Filters nest; what lies within one is judged by the domain, which knows how deep is too deep. */
const Clauses = (description: string) =>
  t.Optional(t.Array(t.Unknown(), { maxItems: MAX_CONDITIONS, description }));
export const FilterSchema = t.Object(
  {
    must: Clauses("all of them hold"),
    should: Clauses("at least one of them holds"),
    must_not: Clauses("none of them holds"),
  },
  { additionalProperties: false, description: "conditions, or filters again, on the items' metadata" },
);
