/** The shapes of catalogd's requests on the wire. */
import { t } from "elysia";
import { SNAPSHOT_ID, TABLE_NAME } from "../../shared/wording.ts";
import { NAME_PATTERN } from "./names.ts";
import { PAGE_LIMIT, PAGE_LIMIT_MAX } from "./views.ts";

const strict = { additionalProperties: false };
export const EXAMPLE_TABLE = "flights";
export const EXAMPLE_SNAPSHOT = "4271856490123456789";

const TableName = t.String({
  pattern: NAME_PATTERN,
  error: TABLE_NAME,
  description: "[namespace.]table; the namespace is `default` where left out. Found without regard to case.",
  examples: [EXAMPLE_TABLE],
});
export const SnapshotId = t.String({
  pattern: "^\\d{1,19}$",
  description: "A snapshot's id: 64 bits wide, so that it is a string in JSON.",
  examples: [EXAMPLE_SNAPSHOT],
});
const Time = t.String({
  maxLength: 64,
  description: "RFC 3339; the snapshot that was current then.",
  examples: ["2026-01-31T12:00:00Z"],
});
const Key = t.String({
  minLength: 1,
  maxLength: 1024,
  description: "An object's key in storaged.",
  examples: ["uploads/flights.parquet"],
});
const pageMembers = {
  limit: t.Optional(
    t.Integer({
      minimum: 1,
      maximum: PAGE_LIMIT_MAX,
      description: `At most so many; ${PAGE_LIMIT} where left out.`,
    }),
  ),
  cursor: t.Optional(
    t.String({ minLength: 1, maxLength: 4096, description: "`next_cursor` of the page before." }),
  ),
};
const choiceMembers = { snapshot_id: t.Optional(SnapshotId), as_of: t.Optional(Time) };
export const Count = (description: string) => t.Integer({ minimum: 0, description });
export const Strings = t.Record(t.String(), t.String());
export const Nullable = <T extends ReturnType<typeof t.String>>(it: T) => t.Union([it, t.Null()]);

export const NameParams = t.Object({ name: TableName });
export const PageQuery = t.Object(pageMembers, strict);
export const ManifestQuery = t.Object({ ...choiceMembers, ...pageMembers }, strict);
export const CommittedQuery = t.Object(
  {
    idempotency_key: t.String({
      minLength: 1,
      maxLength: 512,
      description: "The key that a commit of this table was sent with.",
      examples: ["nightly-2026-11-23"],
    }),
  },
  strict,
);
export const DropQuery = t.Object(
  { purge: t.Optional(t.BooleanString({ description: "Remove the table's files at once, too." })) },
  strict,
);

export const ColumnSchema = t.Object(
  {
    name: t.String({ minLength: 1, maxLength: 255, description: "The column's name.", examples: ["delay"] }),
    type: t.String({
      minLength: 1,
      maxLength: 65_536,
      description:
        "Iceberg's name of the type (`long`, `decimal(9,2)`, `list<string>` …) or a common synonym (`bigint`, `varchar`, `float64` …).",
      examples: ["long"],
    }),
    nullable: t.Boolean({ description: "Whether the column may hold nulls." }),
  },
  strict,
);

export const RegisterBody = t.Object(
  {
    name: TableName,
    schema: t.Array(ColumnSchema, { minItems: 1, description: "The columns, in order." }),
    objects: t.Array(
      t.Object({ key: Key, rows: t.Optional(Count("Checked against the object's footer.")) }),
      { description: "Parquet objects in storaged that hold the rows; each is copied into the table." },
    ),
    schema_fingerprint: t.Optional(
      t.String({
        pattern: "^[0-9a-fA-F]{64}$",
        description:
          'SHA-256, in hex, of the JSON (UTF-8, no spaces) of the columns in order, each `{"name":…,"type":…,"nullable":…}` with Iceberg\'s type names. Another one than the schema\'s is 409.',
      }),
    ),
  },
  strict,
);

/** A type as Iceberg's JSON writes it; what is nested is checked by the domain, which names the column. */
const TypeSchema = t.Union(
  [
    t.String({ minLength: 1, maxLength: 100 }),
    t.Object({ type: t.Union([t.Literal("struct"), t.Literal("list"), t.Literal("map")]) }),
  ],
  { description: "A primitive type's name, or Iceberg's JSON of a struct, list or map.", examples: ["long"] },
);
export const FieldSchema = t.Object(
  {
    id: t.Integer({ minimum: 0 }),
    name: t.String({ minLength: 1, maxLength: 255 }),
    required: t.Boolean(),
    type: TypeSchema,
    doc: t.Optional(t.String()),
  },
  strict,
);
const Path = t.String({
  minLength: 1,
  maxLength: 4096,
  description: "A column; what is nested by dots.",
  examples: ["address.city"],
});
const ChangeSchema = t.Union([
  t.Object(
    {
      change: t.Literal("add"),
      parent: t.Optional(Path),
      field: t.Object(
        {
          name: t.String({ minLength: 1, maxLength: 255 }),
          required: t.Literal(false),
          type: TypeSchema,
          doc: t.Optional(t.String()),
        },
        strict,
      ),
    },
    strict,
  ),
  t.Object(
    { change: t.Literal("widen"), path: Path, type: t.String({ minLength: 1, maxLength: 100 }) },
    strict,
  ),
  t.Object(
    { change: t.Literal("rename"), path: Path, to: t.String({ minLength: 1, maxLength: 255 }) },
    strict,
  ),
  t.Object({ change: t.Literal("drop"), path: Path }, strict),
  t.Object({ change: t.Literal("make_optional"), path: Path }, strict),
]);

const createMembers = {
  fields: t.Array(FieldSchema, { minItems: 1 }),
  properties: t.Optional(Strings),
};
export const CreateBody = t.Object(createMembers, strict);
export const CommitBody = t.Object(
  {
    operation: t.Union(["append", "overwrite", "replace", "delete"].map((it) => t.Literal(it as "append"))),
    add: t.Array(t.Object({ key: Key }, strict), {
      description: "New data files, in the table's own folder.",
    }),
    remove: t.Union([t.Array(Key), t.Literal("all")], { description: "Data files that go, by key." }),
    base_snapshot_id: t.Optional(Nullable(SnapshotId)),
    base_schema_id: t.Optional(t.Integer({ minimum: 0 })),
    schema_changes: t.Optional(t.Array(ChangeSchema, { maxItems: 10_000 })),
    create: t.Optional(
      t.Object(
        {
          ...createMembers,
          location: t.Optional(t.String({ maxLength: 1024 })),
          identifier_field_ids: t.Optional(t.Array(t.Integer({ minimum: 1 }))),
        },
        strict,
      ),
    ),
    summary: t.Optional(Strings),
    idempotency_key: t.Optional(
      t.String({
        minLength: 1,
        maxLength: 512,
        description:
          "Yours: the same commit with the same key again changes nothing, and answers as the first did.",
        examples: ["nightly-2026-11-23"],
      }),
    ),
    properties: t.Optional(Strings),
  },
  strict,
);
export const EvolveBody = t.Object(
  {
    changes: t.Array(ChangeSchema, {
      minItems: 1,
      maxItems: 10_000,
      description: "Made in order, all or none.",
    }),
    base_schema_id: t.Optional(
      t.Integer({ minimum: 0, description: "409 where the schema is another by now." }),
    ),
  },
  strict,
);
export const PlanBody = t.Object(
  {
    name: TableName,
    ...choiceMembers,
    filters: t.Optional(
      t.Array(
        t.Object(
          {
            column: t.String({ minLength: 1, maxLength: 255 }),
            op: t.Union(
              ["=", "<", "<=", ">", ">=", "in", "is_null", "not_null"].map((it) => t.Literal(it as "=")),
            ),
            values: t.Array(t.Union([t.String(), t.Number(), t.Boolean()]), { maxItems: 10_000 }),
          },
          strict,
        ),
        { maxItems: 1000, description: "Files that can't hold a match of all of these are left out." },
      ),
    ),
  },
  strict,
);
export const RollbackBody = t.Object(
  {
    ...choiceMembers,
    base_snapshot_id: t.Optional(
      t.String({
        pattern: "^\\d{1,19}$",
        error: SNAPSHOT_ID,
        description: "409 where the table is at another.",
      }),
    ),
  },
  strict,
);
export const MaintainBody = t.Object(
  {
    table: t.Optional(TableName),
    dry_run: t.Optional(t.Boolean({ description: "Tell what would go, and remove nothing." })),
    snapshot_max_age_ms: t.Optional(Count("Snapshots older than this expire; as configured where left out.")),
    snapshots_kept: t.Optional(
      t.Integer({ minimum: 1, description: "So many of the newest stay in any case." }),
    ),
    orphan_min_age_ms: t.Optional(
      Count(
        "Unreferenced files older than this go. Below the longest commit or query under way it is not safe.",
      ),
    ),
  },
  strict,
);
