/** Wire shapes of corpora. */
import { type Static, t } from "elysia";
import { FilterSchema } from "../../shared/filter_schema.ts";
import { oneOf } from "../../shared/one_of.ts";
import { INDEX_NAME, TABLE_NAME } from "../../shared/wording.ts";

export const LIST_LIMIT = 100;
export const LIST_LIMIT_MAX = 1000;
const MAX_DESCRIPTION_CHARS = 1000;
const MAX_TAGS = 64;
const MAX_COLUMNS = 256;
const INDEX_PATTERN = "^[a-z0-9][a-z0-9_-]{0,127}$";
const TABLE_PATTERN = "^([A-Za-z_][A-Za-z0-9_]{0,127}\\.)?[A-Za-z_][A-Za-z0-9_]{0,127}$";

const label = (description: string) => t.String({ minLength: 1, maxLength: 512, description });

/** Short enough that what is made for a corpus can be named after it. */
export const CorpusName = t.String({
  pattern: "^[a-z0-9][a-z0-9_-]{0,63}$",
  description: "a corpus's name: a-z, 0-9, _ and -, at most 64 characters, a letter or digit first",
  examples: ["articles"],
});
export const NameParams = t.Object({ name: CorpusName });

export const KINDS = ["index", "pathway", "table"] as const;
export type Kind = (typeof KINDS)[number];

const PathwayPart = t.Object(
  {
    scope: t.Optional(t.Record(t.String({ pattern: "^[a-z][a-z0-9_]{0,63}$" }), label("a label's value"))),
    tags: t.Optional(t.Array(label("a tag"), { maxItems: MAX_TAGS, uniqueItems: true })),
    kind: t.Optional(label("of traces")),
    subject: t.Optional(label("of traces")),
  },
  { additionalProperties: false, description: "of kind `pathway`: which traces; all live ones by default" },
);
const TablePart = t.Object(
  {
    name: t.String({
      pattern: TABLE_PATTERN,
      error: TABLE_NAME,
      description: "the table, `[namespace.]table`",
    }),
    id: label("the column whose value is a hit's id: a key of the table"),
    text: label("the column of texts"),
    metadata: t.Optional(
      t.Array(label("a column that becomes a member of the metadata"), {
        maxItems: MAX_COLUMNS,
        uniqueItems: true,
      }),
    ),
    where: t.Optional(
      t.Object(FilterSchema.properties, {
        additionalProperties: false,
        description: "which rows are read, all by default: a filter whose keys are the table's columns",
      }),
    ),
    model: t.Optional(t.String({ minLength: 1, maxLength: 128, description: "of embedd; its default one" })),
  },
  { additionalProperties: false, description: "of kind `table`: what of a lake table is read into an index" },
);

const members = {
  name: CorpusName,
  kind: oneOf(KINDS, "index: a vector index; pathway: an agent's memory; table: a lake table's texts"),
  index: t.Optional(
    t.String({
      pattern: INDEX_PATTERN,
      error: INDEX_NAME,
      description: "of kind `index`: the vector index, which has a model, so that texts can be looked for",
    }),
  ),
  pathway: t.Optional(PathwayPart),
  table: t.Optional(TablePart),
  description: t.Optional(
    t.String({ maxLength: MAX_DESCRIPTION_CHARS, description: "what is in it, for people and agents" }),
  ),
  weight: t.Optional(
    t.Number({
      exclusiveMinimum: 0,
      maximum: 100,
      description: "how much its hits count beside those of other corpora; 1 by default",
    }),
  ),
};

export const CorpusBody = t.Object(members, { additionalProperties: false });
export type CorpusDefinition = Static<typeof CorpusBody>;

const FreshnessSchema = t.Object(
  {
    snapshot_id: t.Nullable(t.String({ description: "the table's snapshot that is searched" })),
    at: t.Nullable(t.String({ description: "when it was read" })),
    current_snapshot_id: t.Nullable(t.String({ description: "the table's newest" })),
    is_behind: t.Boolean({ description: "whether a refresh would find something else" }),
    refresh: t.Optional(
      t.Object(
        {
          job_id: t.String({ description: "at GET /vectors/jobs/<job_id>" }),
          status: t.String(),
          percent: t.Number(),
          error: t.Optional(t.String()),
        },
        { description: "the last one since the service started" },
      ),
    ),
  },
  { description: "of kind `table`; the others are always as new as what they stand for" },
);
export type Freshness = Static<typeof FreshnessSchema>;

export const STATES = ["ready", "building", "unavailable"] as const;
export const CorpusSchema = t.Object({
  ...members,
  weight: t.Number(),
  created_at: t.String({ description: "when it was registered" }),
  state: oneOf(
    STATES,
    "unavailable: `reason` says why (of a ready one: that its table is gone); building: what is there by now is found",
  ),
  reason: t.Optional(t.String()),
  items: t.Nullable(t.Integer({ description: "what it holds; null where it can't be told" })),
  model: t.Optional(t.String({ description: "makes vectors of its texts and of queries" })),
  freshness: t.Optional(FreshnessSchema),
  existing: t.Optional(t.Literal(true, { description: "it was registered before, just like this" })),
});
export type CorpusInfo = Static<typeof CorpusSchema>;

export const PageQuery = t.Object({
  limit: t.Optional(
    t.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, description: `${LIST_LIMIT} by default` }),
  ),
  cursor: t.Optional(t.String({ maxLength: 64, description: "next_cursor of the page before" })),
});
export type PageOptions = Static<typeof PageQuery>;
export const CorpusPageSchema = t.Object({
  corpora: t.Array(CorpusSchema, { description: "by name" }),
  next_cursor: t.Nullable(t.String()),
});
export type CorpusPage = Static<typeof CorpusPageSchema>;
