/** What /swagger says of catalogd's routes. */
import { describe, type RouteDocs } from "../../shared/http.ts";
import {
  CommitResultSchema,
  CommittedSchema,
  DatasetListSchema,
  HistorySchema,
  MaintainReportSchema,
  ManifestSchema,
  NamesSchema,
  RegisteredSchema,
  ScanPlanSchema,
  TableStateSchema,
} from "./answers.ts";
import { EXAMPLE_SNAPSHOT, EXAMPLE_TABLE } from "./wire.ts";

const operation = (docs: Omit<RouteDocs, "service">) => describe({ ...docs, service: "catalogd" });

const dataset = {
  name: EXAMPLE_TABLE,
  uuid: "5f0c1a7e-9d2b-4c3f-8a61-2b7d90e4f1c3",
  snapshot_id: EXAMPLE_SNAPSHOT,
  schema_fingerprint: "0e6f7f1c5a3d4b2e9c8a7b6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f",
  columns: 2,
  rows: 2000,
  files: 1,
  bytes: 21345,
  updated_at: "2026-01-31T12:00:00.000Z",
};
const location = "s3://lakehouse/warehouse/default/flights-5f0c1a7e";
const manifest = {
  ...dataset,
  location,
  metadata_location: `${location}/metadata/00000-2d9f4b1e-7a53-4f7a-9a6b-0c1d2e3f4a5b.metadata.json`,
  format_version: 2,
  schema_id: 0,
  schema: [
    { name: "origin", type: "string", nullable: true },
    { name: "delay", type: "long", nullable: true },
  ],
  properties: { "write.format.default": "parquet" },
  summary: { operation: "append", "total-records": "2000", "total-data-files": "1" },
  objects: [{ key: "warehouse/default/flights-5f0c1a7e/data/8c1e.parquet", size: 21345, rows: 2000 }],
  next_cursor: null,
};
const state = {
  name: EXAMPLE_TABLE,
  uuid: dataset.uuid,
  location,
  schema_id: 0,
  fields: [
    { id: 1, name: "origin", required: false, type: "string" },
    { id: 2, name: "delay", required: false, type: "long" },
  ],
  identifier_field_ids: [],
  last_column_id: 2,
  snapshot_id: EXAMPLE_SNAPSHOT,
  properties: {},
};

export const documentation = {
  register: operation({
    summary: "Register Parquet objects as a table",
    description:
      "Makes an Iceberg table of objects in storaged. Each object's footer is checked against the schema, and the object is copied into the table's own folder. The same registration again is 200 with `existing: true`; another schema or other objects under the same name are 409, the schema's `difference` told column by column.",
    answers: {
      200: {
        description: "The same had been registered before.",
        schema: RegisteredSchema,
        example: { ...manifest, existing: true },
      },
      201: {
        description: "The table is new.",
        schema: RegisteredSchema,
        example: { ...manifest, existing: false },
      },
    },
    problems: [400, 401, 403, 404, 409, 413],
    example: {
      name: "flights",
      schema: manifest.schema,
      objects: [{ key: "uploads/flights.parquet" }],
    },
  }),
  list: operation({
    summary: "List tables",
    description: "The tables by name, each with its size at its present snapshot.",
    answers: {
      200: {
        description: "A page of tables.",
        schema: DatasetListSchema,
        example: { datasets: [dataset], next_cursor: null },
      },
    },
    problems: [400, 401, 403],
  }),
  manifest: operation({
    summary: "Tell what a table consists of",
    description:
      "Schema, properties and objects of a table: now, at a snapshot, or at a time. The objects come in pages (1,000 where no limit is given).",
    answers: { 200: { description: "The table.", schema: ManifestSchema, example: manifest } },
    problems: [400, 401, 403, 404],
  }),
  history: operation({
    summary: "List a table's snapshots",
    description:
      "Newest first. Snapshots that a rollback left behind are there until maintenance expires them.",
    answers: {
      200: {
        description: "A page of snapshots.",
        schema: HistorySchema,
        example: {
          name: EXAMPLE_TABLE,
          snapshots: [
            {
              snapshot_id: EXAMPLE_SNAPSHOT,
              parent_snapshot_id: null,
              sequence_number: 1,
              committed_at: dataset.updated_at,
              operation: "append",
              schema_id: 0,
              current: true,
              ancestor: true,
              summary: manifest.summary,
            },
          ],
          next_cursor: null,
        },
      },
    },
    problems: [400, 401, 403, 404],
  }),
  rollback: operation({
    summary: "Roll a table back",
    description:
      "Makes an older snapshot, by id or by time, the present one. Nothing is removed: rolling forward again is another rollback. The schema stays as it is.",
    answers: { 200: { description: "The table.", schema: TableStateSchema, example: state } },
    problems: [400, 401, 403, 404, 409],
    example: { snapshot_id: EXAMPLE_SNAPSHOT },
  }),
  drop: operation({
    summary: "Drop a table",
    description:
      "Takes the table out of the catalog. Its files go with `purge=true` at once, otherwise when maintenance finds them old enough.",
    answers: { 204: { description: "The table is gone." } },
    problems: [400, 401, 403, 404],
  }),
  evolve: operation({
    summary: "Change a table's schema",
    description:
      "Adds, widens (int to long, float to double, a decimal's precision), renames or drops columns, nested ones too, or makes them optional. Files already written stay as they are.",
    answers: { 200: { description: "The table.", schema: TableStateSchema, example: state } },
    problems: [400, 401, 403, 404, 409],
    example: {
      changes: [
        { change: "add", field: { name: "carrier", required: false, type: "string" } },
        { change: "rename", path: "delay", to: "delay_minutes" },
      ],
    },
  }),
  maintain: operation({
    summary: "Expire snapshots and clean up",
    description:
      "Expires snapshots past their age and removes files that no snapshot refers to, once they are old enough that no commit or query under way needs them. With `dry_run` it only tells.",
    answers: {
      200: {
        description: "What went, or would go.",
        schema: MaintainReportSchema,
        example: {
          dry_run: true,
          tables: [
            {
              name: EXAMPLE_TABLE,
              expired_snapshots: [EXAMPLE_SNAPSHOT],
              removed: { files: 1, bytes: 21345, samples: [manifest.objects[0]?.key ?? ""] },
            },
          ],
          folders: [],
          failures: [],
          elapsed_ms: 12,
        },
      },
    },
    problems: [400, 401, 403, 404, 409],
    example: { dry_run: true },
  }),
  describe: operation({
    summary: "Tell a table's state to its writers",
    description: "Field ids, location and present snapshot: what is needed to write files for the table.",
    answers: { 200: { description: "The table.", schema: TableStateSchema, example: state } },
    problems: [400, 401, 403, 404],
  }),
  create: operation({
    summary: "Create an empty table",
    description: "The field ids given are replaced by others, numbered in order.",
    answers: {
      201: { description: "The table.", schema: TableStateSchema, example: { ...state, snapshot_id: null } },
    },
    problems: [400, 401, 403, 409],
    example: { fields: state.fields },
  }),
  commit: operation({
    summary: "Commit data files",
    description:
      "Adds and removes data files in one new snapshot, all or nothing. Parquet files are written into the table's folder first; their footers are read here. An append that loses a race is made again on what won; others are 409 where `base_snapshot_id` has moved.",
    answers: {
      200: {
        description: "The commit, made now or before with the same idempotency key.",
        schema: CommitResultSchema,
        example: {
          name: EXAMPLE_TABLE,
          snapshot_id: EXAMPLE_SNAPSHOT,
          repeated: false,
          table: state,
          summary: manifest.summary,
        },
      },
    },
    problems: [400, 401, 403, 404, 409, 413],
    example: { operation: "append", add: [{ key: manifest.objects[0]?.key ?? "" }], remove: [] },
  }),
  committed: operation({
    summary: "Find a commit by its idempotency key",
    description: "The commit once made with this key, or null.",
    answers: {
      200: { description: "The commit, or null.", schema: CommittedSchema, example: { commit: null } },
    },
    problems: [400, 401, 403, 404],
  }),
  plan: operation({
    summary: "Plan a scan",
    description: "The files a reader of one snapshot must read, after pruning by their column bounds.",
    answers: {
      200: {
        description: "The plan.",
        schema: ScanPlanSchema,
        example: {
          name: EXAMPLE_TABLE,
          uuid: dataset.uuid,
          snapshot_id: EXAMPLE_SNAPSHOT,
          fields: state.fields,
          name_mapping: null,
          files: [
            {
              ...manifest.objects[0],
              location: `s3://lakehouse/${manifest.objects[0]?.key}`,
              position_deletes: [],
            },
          ],
          files_pruned: 0,
        },
      },
    },
    problems: [400, 401, 403, 404],
    example: { name: "flights", filters: [{ column: "delay", op: ">", values: [60] }] },
  }),
  names: operation({
    summary: "Name all tables",
    description: "Every table's name, sorted.",
    answers: { 200: { description: "The names.", schema: NamesSchema, example: { names: [EXAMPLE_TABLE] } } },
    problems: [401, 403],
  }),
};
