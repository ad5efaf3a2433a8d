/** vectord's limits, wire shapes and interface: named indexes of vectors with metadata and text. */
import { type Static, t } from "elysia";
import { FieldKey, type Filter, FilterSchema } from "../../shared/filter_schema.ts";
import { oneOf } from "../../shared/one_of.ts";
import type { VectorMoves } from "./moving_schema.ts";
import { type FromTable, fromTableBody, SourceSchema, type VectorTables } from "./tables_schema.ts";

export type { Filter } from "../../shared/filter_schema.ts";
export type { Restored, RestoreQuery, Snapshot, SnapshotQuery } from "./moving_schema.ts";

export const LIST_LIMIT = 100;
export const LIST_LIMIT_MAX = 1000;
export const MAX_K = 1000;
export const MAX_EF = 10_000;
/** Ids that one request may name. */
export const MAX_IDS = 10_000;
const MAX_TEXT_QUERY = 10_000;

/** Fields of the metadata that one index may have postings for. */
export const MAX_INDEXED = 64;

export const METRICS = ["cosine", "l2", "dot"] as const;
export const QUANTIZATIONS = ["f32", "f16", "i8"] as const;
export type Metric = (typeof METRICS)[number];
export type Quantization = (typeof QUANTIZATIONS)[number];

/** Measured on four retrieval sets: docs/vectors.md. */
export const DEFAULT_WEIGHTS = { bm25: 0.3, vector: 0.7, soft: 1 };

export const NAME_PATTERN = "^[a-z0-9_][a-z0-9_-]{0,127}$";
/** An index whose name begins so belongs to a service of this lake, which alone reads and writes it. */
export const RESERVED = "_";
export const NameParams = t.Object({
  name: t.String({
    pattern: NAME_PATTERN,
    description: "1 to 128 of a-z, 0-9, _ and -; not _ first, which is for the lake's own services",
    examples: ["articles"],
  }),
});

const FieldKeys = (description: string) =>
  t.Array(FieldKey, { maxItems: MAX_INDEXED, uniqueItems: true, description });

export const CreateBody = t.Object(
  {
    name: NameParams.properties.name,
    dimension: t.Optional(
      t.Integer({
        minimum: 1,
        maximum: 65_536,
        description: "numbers in each vector; the model's by default",
      }),
    ),
    model: t.Optional(
      t.String({
        minLength: 1,
        maxLength: 128,
        description:
          "of embedd, to make vectors of texts; with neither dimension nor model the default one, with a dimension alone none",
      }),
    ),
    metric: t.Optional(oneOf(METRICS, "how vectors are compared; cosine by default")),
    quantization: t.Optional(
      oneOf(
        QUANTIZATIONS,
        "how the graph holds vectors; f16 by default. Results are scored by the vectors as sent",
      ),
    ),
    connectivity: t.Optional(
      t.Integer({ minimum: 4, maximum: 128, description: "links of a vector in the graph; 16 by default" }),
    ),
    ef_construction: t.Optional(
      t.Integer({
        minimum: 8,
        maximum: 1024,
        description: "candidates looked at when adding; 128 by default",
      }),
    ),
    indexed: t.Optional(FieldKeys("fields whose values are kept apart, so that filters on them ask no item")),
  },
  { additionalProperties: false },
);
export type CreateIndex = Static<typeof CreateBody>;

export const FromTableBody = fromTableBody(t.Omit(CreateBody, ["name"]));
export type LoadRequest = FromTable<Omit<CreateIndex, "name">>;

/** What an index is made with, for good. */
export interface IndexSettings {
  readonly dimension: number;
  /** What makes vectors of texts; null where only vectors are taken. */
  readonly model: string | null;
  readonly metric: Metric;
  readonly quantization: Quantization;
  readonly connectivity: number;
  readonly ef_construction: number;
  /** Keys of the metadata that have postings. */
  readonly indexed: readonly string[];
}

export const FieldsBody = t.Object(
  {
    add: t.Optional(FieldKeys("fields to index from now on; what is there is indexed, too")),
    remove: t.Optional(FieldKeys("fields to index no more")),
  },
  { additionalProperties: false, minProperties: 1 },
);
export type FieldsChange = Static<typeof FieldsBody>;

const Vector = t.Union([t.Array(t.Number()), t.String()], {
  description: "an array of numbers, or base64 of little-endian f32",
});
const Metadata = t.Record(t.String(), t.Unknown());

export const IndexSchema = t.Object({
  name: t.String(),
  dimension: t.Integer(),
  model: t.Nullable(t.String({ description: "makes vectors of texts; null where only vectors are taken" })),
  metric: oneOf(METRICS, "how vectors are compared"),
  quantization: oneOf(QUANTIZATIONS, "how the graph holds vectors"),
  connectivity: t.Integer(),
  ef_construction: t.Integer(),
  indexed: t.Array(t.String(), { description: "fields that filters find without asking each item" }),
  state: oneOf(["ready", "building"], "building: what is not in the graph yet is searched exactly"),
  items: t.Integer({ description: "items, those expired but not yet removed included" }),
  waiting: t.Integer({ description: "items that the graph does not hold yet" }),
  masked: t.Integer({
    description: "vectors in the graph of items replaced or deleted, until it is rebuilt",
  }),
  version: t.String({ description: "another one whenever an item is written or removed" }),
  source: t.Nullable(SourceSchema),
  disk_bytes: t.Integer({ description: "files of the index" }),
  memory_bytes: t.Integer({ description: "an estimate of what vectors and graph take in memory" }),
});
export type IndexInfo = Static<typeof IndexSchema>;

export const PageQuery = t.Object({
  limit: t.Optional(
    t.Integer({ minimum: 1, maximum: LIST_LIMIT_MAX, description: `${LIST_LIMIT} by default` }),
  ),
  cursor: t.Optional(t.String({ maxLength: 128, description: "next_cursor of the page before" })),
});
export interface PageOptions extends Static<typeof PageQuery> {
  /** Leaves out the indexes of the lake's services. */
  readonly without_reserved?: boolean;
}
export const IndexPageSchema = t.Object({
  indexes: t.Array(IndexSchema, { description: "by name" }),
  next_cursor: t.Nullable(t.String()),
});
export type IndexPage = Static<typeof IndexPageSchema>;

/** One item as it is sent. */
export interface NewItem {
  readonly id: string;
  /** Made of the text where it is absent. */
  readonly vector?: readonly number[] | string;
  readonly metadata?: Readonly<Record<string, unknown>> | null;
  readonly text?: string | null;
  /** RFC 3339. */
  readonly expires_at?: string | null;
}
/** Items as values, or the bytes of a body that holds them. */
export type Batch =
  | { readonly items: readonly NewItem[] }
  | { readonly bytes: Uint8Array; readonly format: "json" | "ndjson" };

export const AddedSchema = t.Object({
  added: t.Integer({ description: "items with an id that was not there" }),
  replaced: t.Integer({ description: "items that took the place of one with the same id" }),
  truncated: t.Optional(
    t.Integer({ description: "texts of which the model read only the beginning; absent where it read all" }),
  ),
});
export type Added = Static<typeof AddedSchema>;

export const INCLUDES = ["metadata", "text", "vector"] as const;
export type Include = (typeof INCLUDES)[number];
const Includes = t.Optional(
  t.Array(oneOf(INCLUDES, "what is told of an item"), {
    maxItems: 3,
    description: '["metadata"] by default',
  }),
);
const Weight = (side: string, by_default: number) =>
  t.Optional(
    t.Number({ minimum: 0, maximum: 100, description: `the weight of ${side}; ${by_default} by default` }),
  );
export const SearchBody = t.Object(
  {
    vector: t.Optional(Vector),
    text: t.Optional(
      t.String({
        minLength: 1,
        maxLength: MAX_TEXT_QUERY,
        description: "instead of a vector: one is made of it by the index's model",
      }),
    ),
    k: t.Optional(t.Integer({ minimum: 1, maximum: MAX_K, description: "10 by default" })),
    filter: t.Optional(FilterSchema),
    hybrid: t.Optional(
      t.Object(
        {
          text: t.Optional(
            t.String({
              minLength: 1,
              maxLength: MAX_TEXT_QUERY,
              description: "words looked for in the items' texts; the query's `text` by default",
            }),
          ),
          bm25: Weight("BM25, divided by its highest score", DEFAULT_WEIGHTS.bm25),
          vector: Weight("the cosine", DEFAULT_WEIGHTS.vector),
          soft: Weight("soft matches of single words; less of it the longer the texts", DEFAULT_WEIGHTS.soft),
          depth: t.Optional(t.Integer({ minimum: 1, maximum: MAX_K, description: "fused of each side" })),
        },
        { additionalProperties: false },
      ),
    ),
    ef: t.Optional(
      t.Integer({
        minimum: 1,
        maximum: MAX_EF,
        description: "candidates looked at in the graph: more find better, in more time",
      }),
    ),
    exact: t.Optional(t.Boolean({ description: "compare with every item; false by default" })),
    include: Includes,
  },
  { additionalProperties: false },
);
export type SearchQuery = Omit<Static<typeof SearchBody>, "filter"> & { filter?: Filter };

const Rank = (side: string) =>
  t.Optional(
    t.Integer({ description: `its rank by ${side}, from 1; absent where that side did not find it` }),
  );
export const HitSchema = t.Object({
  id: t.String(),
  score: t.Number({ description: "higher is better, for every metric" }),
  distance: t.Number({ description: "lower is nearer, by the index's metric" }),
  ranks: t.Optional(
    t.Object({ bm25: Rank("BM25"), vector: Rank("vector") }, { description: "of a hybrid search" }),
  ),
  sides: t.Optional(
    t.Object(
      {
        bm25: t.Number(),
        cosine: t.Number(),
        soft: t.Optional(t.Number({ description: "the soft match; absent where it was left out" })),
      },
      { description: "of a hybrid search, before weights" },
    ),
  ),
  metadata: t.Optional(t.Nullable(Metadata)),
  text: t.Optional(t.Nullable(t.String())),
  vector: t.Optional(t.Array(t.Number())),
});
export type Hit = Static<typeof HitSchema>;
export const FoundSchema = t.Object({
  results: t.Array(HitSchema, { description: "best first" }),
  exact: t.Boolean({ description: "whether every item that the filter lets through was compared" }),
  model: t.Nullable(t.String({ description: "of the index; null where it has none" })),
  elapsed_ms: t.Number(),
});
export type Found = Static<typeof FoundSchema>;

const Ids = t.Array(t.String({ minLength: 1 }), { minItems: 1, maxItems: MAX_IDS });
export const GetBody = t.Object({ ids: Ids, include: Includes }, { additionalProperties: false });
export type GetQuery = Static<typeof GetBody>;
export const ItemSchema = t.Object({
  id: t.String(),
  metadata: t.Optional(t.Nullable(Metadata)),
  text: t.Optional(t.Nullable(t.String())),
  vector: t.Optional(t.Array(t.Number())),
  expires_at: t.Optional(t.String()),
});
export type Item = Static<typeof ItemSchema>;
export const ItemsSchema = t.Object({
  items: t.Array(ItemSchema, { description: "those there are, in the order asked" }),
});
export type Items = Static<typeof ItemsSchema>;

export const DeleteBody = t.Object(
  {
    ids: t.Optional(Ids),
    filter: t.Optional(FilterSchema),
    erase: t.Optional(
      t.Boolean({
        description:
          "rewrite the index's files, so that nothing of any item deleted or replaced so far is left in them; false by default",
      }),
    ),
  },
  { additionalProperties: false, minProperties: 1, maxProperties: 2, description: "ids, or a filter" },
);
export type DeleteQuery = ({ ids: string[] } | { filter: Filter }) & { erase?: boolean };
export const DeletedSchema = t.Object({ deleted: t.Integer() });
export type Deleted = Static<typeof DeletedSchema>;

export interface Vectord extends VectorItems, VectorMoves {
  readonly tables: VectorTables<Omit<CreateIndex, "name">, Added>;
}

export interface VectorItems {
  /** @throws LakeError invalid, conflict (the name is taken), resource_limit, or embedd's */
  create(index: CreateIndex): Promise<IndexInfo>;
  list(page: PageOptions): Promise<IndexPage>;
  /** @throws LakeError not_found */
  index(name: string): Promise<IndexInfo>;
  /** Indexes more fields, or fewer; answers are the same. @throws LakeError invalid, not_found, resource_limit */
  fields(name: string, change: FieldsChange): Promise<IndexInfo>;
  /** @throws LakeError not_found */
  drop(name: string): Promise<void>;
  /**
   * All of the batch or nothing; on the disk, and found by any later search, when it returns.
   * @throws LakeError invalid, not_found, resource_limit, queue_full
   */
  add(name: string, batch: Batch): Promise<Added>;
  /** @throws LakeError invalid, not_found, queue_full, deadline */
  search(name: string, query: SearchQuery): Promise<Found>;
  /** @throws LakeError not_found, queue_full */
  get(name: string, query: GetQuery): Promise<Items>;
  /**
   * On the disk when it returns; with `erase`, nothing of what was deleted or replaced is in the index's files.
   * @throws LakeError invalid, not_found, queue_full, unavailable
   */
  delete(name: string, query: DeleteQuery): Promise<Deleted>;
}
