/** The shapes of catalogd's answers on the wire. */
import { t } from "elysia";
import { ColumnSchema, Count, FieldSchema, Nullable, SnapshotId, Strings } from "./wire.ts";

const datasetMembers = {
  name: t.String(),
  uuid: t.String(),
  snapshot_id: Nullable(SnapshotId),
  schema_fingerprint: t.String(),
  columns: Count("Top-level columns."),
  rows: Count("Rows at this snapshot."),
  files: Count("Data files."),
  bytes: Count("Bytes of the files."),
  updated_at: t.String(),
};
const next_cursor = Nullable(t.String({ description: "To be sent as `cursor`; null at the end." }));
export const DatasetListSchema = t.Object({ datasets: t.Array(t.Object(datasetMembers)), next_cursor });
const manifestMembers = {
  ...datasetMembers,
  location: t.String(),
  metadata_location: t.String({ description: "Where the Iceberg metadata document lies." }),
  format_version: t.Literal(2),
  schema_id: t.Integer(),
  schema: t.Array(ColumnSchema),
  properties: Strings,
  summary: Strings,
  objects: t.Array(t.Object({ key: t.String(), size: t.Integer(), rows: t.Integer() })),
  next_cursor,
};
export const ManifestSchema = t.Object(manifestMembers);
export const RegisteredSchema = t.Object({ ...manifestMembers, existing: t.Boolean() });
export const HistorySchema = t.Object({
  name: t.String(),
  snapshots: t.Array(
    t.Object({
      snapshot_id: SnapshotId,
      parent_snapshot_id: Nullable(SnapshotId),
      sequence_number: t.Integer(),
      committed_at: t.String(),
      operation: t.String(),
      schema_id: t.Union([t.Integer(), t.Null()]),
      current: t.Boolean(),
      ancestor: t.Boolean({ description: "Whether the present snapshot came from this one." }),
      summary: Strings,
    }),
  ),
  next_cursor,
});
export const TableStateSchema = t.Object({
  name: t.String(),
  uuid: t.String(),
  location: t.String(),
  schema_id: t.Integer(),
  fields: t.Array(FieldSchema),
  identifier_field_ids: t.Array(t.Integer()),
  last_column_id: t.Integer(),
  snapshot_id: Nullable(SnapshotId),
  properties: Strings,
});
export const CommitResultSchema = t.Object({
  name: t.String(),
  snapshot_id: SnapshotId,
  repeated: t.Boolean({ description: "Whether this idempotency key had been committed before." }),
  table: TableStateSchema,
  summary: Strings,
});
export const CommittedSchema = t.Object({ commit: t.Union([CommitResultSchema, t.Null()]) });
export const NamesSchema = t.Object({ names: t.Array(t.String()) });
export const ScanPlanSchema = t.Object({
  name: t.String(),
  uuid: t.String(),
  snapshot_id: Nullable(SnapshotId),
  fields: t.Array(FieldSchema),
  name_mapping: t.Unknown({ description: "Names by field id, for files without field ids." }),
  files: t.Array(
    t.Object({
      location: t.String(),
      key: t.String(),
      size: t.Integer(),
      rows: t.Integer(),
      position_deletes: t.Array(t.Object({ key: t.String() })),
    }),
  ),
  files_pruned: t.Integer({ description: "Files that can't hold a match, left out." }),
});
const RemovedSchema = t.Object({
  files: t.Integer(),
  bytes: t.Integer(),
  samples: t.Array(t.String(), { description: "Some of their keys." }),
});
export const MaintainReportSchema = t.Object({
  dry_run: t.Boolean(),
  tables: t.Array(
    t.Object({ name: t.String(), expired_snapshots: t.Array(SnapshotId), removed: RemovedSchema }),
  ),
  folders: t.Array(t.Object({ folder: t.String(), removed: RemovedSchema })),
  failures: t.Array(t.Object({ name: t.String(), reason: t.String() })),
  elapsed_ms: t.Integer(),
});
