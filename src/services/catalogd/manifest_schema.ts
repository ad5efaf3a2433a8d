/** The Avro schemas of Iceberg v2 manifests and manifest lists, with their field ids (table spec, "Manifests"). */
import type { AvroSchema } from "./avro.ts";

const field = (id: number, name: string, type: AvroSchema) => ({ name, type, "field-id": id });
const optional = (id: number, name: string, type: AvroSchema) => ({
  name,
  type: ["null", type],
  default: null,
  "field-id": id,
});
/** A map by column id: Avro's own maps have string keys only. */
const byColumn = (key_id: number, value_id: number, value: AvroSchema): AvroSchema => ({
  type: "array",
  logicalType: "map",
  items: {
    type: "record",
    name: `k${key_id}_v${value_id}`,
    fields: [field(key_id, "key", "int"), field(value_id, "value", value)],
  },
});
const list = (element_id: number, items: AvroSchema): AvroSchema => ({
  type: "array",
  "element-id": element_id,
  items,
});

/** @param partition the Avro fields of the partition record */
export function entrySchema(partition: readonly unknown[]): AvroSchema {
  const data_file = {
    type: "record",
    name: "r2",
    fields: [
      field(134, "content", "int"),
      field(100, "file_path", "string"),
      field(101, "file_format", "string"),
      field(102, "partition", { type: "record", name: "r102", fields: partition }),
      field(103, "record_count", "long"),
      field(104, "file_size_in_bytes", "long"),
      optional(108, "column_sizes", byColumn(117, 118, "long")),
      optional(109, "value_counts", byColumn(119, 120, "long")),
      optional(110, "null_value_counts", byColumn(121, 122, "long")),
      optional(137, "nan_value_counts", byColumn(138, 139, "long")),
      optional(125, "lower_bounds", byColumn(126, 127, "bytes")),
      optional(128, "upper_bounds", byColumn(129, 130, "bytes")),
      optional(131, "key_metadata", "bytes"),
      optional(132, "split_offsets", list(133, "long")),
      optional(135, "equality_ids", list(136, "int")),
      optional(140, "sort_order_id", "int"),
      optional(143, "referenced_data_file", "string"),
    ],
  };
  return {
    type: "record",
    name: "manifest_entry",
    fields: [
      field(0, "status", "int"),
      optional(1, "snapshot_id", "long"),
      optional(3, "sequence_number", "long"),
      optional(4, "file_sequence_number", "long"),
      field(2, "data_file", data_file),
    ],
  };
}

/** A manifest list's records. */
export const LIST_SCHEMA: AvroSchema = {
  type: "record",
  name: "manifest_file",
  fields: [
    field(500, "manifest_path", "string"),
    field(501, "manifest_length", "long"),
    field(502, "partition_spec_id", "int"),
    field(517, "content", "int"),
    field(515, "sequence_number", "long"),
    field(516, "min_sequence_number", "long"),
    field(503, "added_snapshot_id", "long"),
    field(504, "added_files_count", "int"),
    field(505, "existing_files_count", "int"),
    field(506, "deleted_files_count", "int"),
    field(512, "added_rows_count", "long"),
    field(513, "existing_rows_count", "long"),
    field(514, "deleted_rows_count", "long"),
    optional(
      507,
      "partitions",
      list(508, {
        type: "record",
        name: "r508",
        fields: [
          field(509, "contains_null", "boolean"),
          optional(518, "contains_nan", "boolean"),
          optional(510, "lower_bound", "bytes"),
          optional(511, "upper_bound", "bytes"),
        ],
      }),
    ),
    optional(519, "key_metadata", "bytes"),
  ],
};
