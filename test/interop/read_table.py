"""Reads an Iceberg table with PyIceberg and tells as JSON what it saw; writes its rows as Parquet.

Usage: read_table.py ROOT METADATA_LOCATION OUT SNAPSHOT_ID ROW_FILTER OWN
The last three may be empty; with OWN each file's statistics are made anew by PyIceberg, too.
s3://lakehouse/<key> is the file ROOT/<key>.
"""

import json
import sys

import pyarrow.parquet as pq
from pyiceberg.conversions import from_bytes
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.table import StaticTable

PREFIX = "s3://lakehouse/"


def decoded(bounds, schema):
    types = {field_id: field.field_type for field_id, field in schema._lazy_id_to_field.items()}
    return {
        str(field_id): str(from_bytes(types[field_id], value))
        for field_id, value in (bounds or {}).items()
        if field_id in types
    }


def counts(mapping):
    return None if mapping is None else {str(key): value for key, value in sorted(mapping.items())}


def own_statistics(root, path, table):
    """What PyIceberg would itself have written of a file."""
    metadata = pq.read_metadata(f"{root}/{path.removeprefix(PREFIX)}")
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=metadata,
        stats_columns=compute_statistics_plan(table.schema(), table.properties),
        parquet_column_mapping=parquet_path_to_id_mapping(table.schema()),
    ).to_serialized_dict()
    return {
        "record_count": statistics["record_count"],
        "column_sizes": counts(statistics["column_sizes"]),
        "value_counts": counts(statistics["value_counts"]),
        "null_value_counts": counts(statistics["null_value_counts"]),
        "lower_bounds": {str(k): v.hex() for k, v in sorted(statistics["lower_bounds"].items())},
        "upper_bounds": {str(k): v.hex() for k, v in sorted(statistics["upper_bounds"].items())},
        "split_offsets": statistics["split_offsets"],
    }


def entry_of(entry, root, table, compare):
    file = entry.data_file
    told = {
        "status": int(entry.status),
        "snapshot_id": str(entry.snapshot_id),
        "sequence_number": entry.sequence_number,
        "path": file.file_path,
        "format": str(file.file_format),
        "size": file.file_size_in_bytes,
        "nan_value_counts": counts(file.nan_value_counts),
        "lower": decoded(file.lower_bounds, table.schema()),
        "upper": decoded(file.upper_bounds, table.schema()),
        "ours": {
            "record_count": file.record_count,
            "column_sizes": counts(file.column_sizes),
            "value_counts": counts(file.value_counts),
            "null_value_counts": counts(file.null_value_counts),
            "lower_bounds": {str(k): v.hex() for k, v in sorted((file.lower_bounds or {}).items())},
            "upper_bounds": {str(k): v.hex() for k, v in sorted((file.upper_bounds or {}).items())},
            "split_offsets": file.split_offsets,
        },
    }
    if compare and int(entry.status) != 2:
        told["theirs"] = own_statistics(root, file.file_path, table)
    return told


def manifests_of(table, snapshot, root, compare):
    told = []
    for manifest in snapshot.manifests(table.io):
        entries = manifest.fetch_manifest_entry(table.io, discard_deleted=False)
        told.append(
            {
                "path": manifest.manifest_path,
                "content": int(manifest.content),
                "sequence_number": manifest.sequence_number,
                "min_sequence_number": manifest.min_sequence_number,
                "added_snapshot_id": str(manifest.added_snapshot_id),
                "counts": [
                    manifest.added_files_count,
                    manifest.existing_files_count,
                    manifest.deleted_files_count,
                ],
                "entries": [entry_of(entry, root, table, compare) for entry in entries],
            }
        )
    return told


def main(root, location, out, snapshot_id, row_filter, own):
    table = StaticTable.from_metadata(location, {"py-io-impl": "lake_io.LakeFileIO", "lake.root": root})
    wanted = int(snapshot_id) if snapshot_id else None
    scan = table.scan(snapshot_id=wanted, **({"row_filter": row_filter} if row_filter else {}))
    pq.write_table(scan.to_arrow(), out)
    snapshot = table.snapshot_by_id(wanted) if wanted else table.current_snapshot()
    metadata = table.metadata
    print(
        json.dumps(
            {
                "uuid": str(metadata.table_uuid),
                "format_version": metadata.format_version,
                "last_sequence_number": metadata.last_sequence_number,
                "current_snapshot_id": str(metadata.current_snapshot_id),
                "snapshots": [
                    [str(it.snapshot_id), str(it.parent_snapshot_id), it.sequence_number, it.schema_id]
                    for it in metadata.snapshots
                ],
                "summary": dict(snapshot.summary.additional_properties) if snapshot else {},
                "log": [str(it.snapshot_id) for it in metadata.snapshot_log],
                "main": str(metadata.refs["main"].snapshot_id) if "main" in metadata.refs else None,
                "fields": [
                    [it.field_id, it.name, str(it.field_type), it.required] for it in table.schema().fields
                ],
                "name_mapping": table.name_mapping().model_dump_json(by_alias=True),
                "planned": sorted(task.file.file_path for task in scan.plan_files()),
                "manifests": manifests_of(table, snapshot, root, own != "") if snapshot else [],
            }
        )
    )


main(*sys.argv[1:])
