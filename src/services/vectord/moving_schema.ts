/** The wire shape of snapshots and restores. */
import { type Static, t } from "elysia";
import { INDEX_NAME } from "../../shared/wording.ts";
import { IndexSchema, NAME_PATTERN } from "./schema.ts";

/** Keys of snapshots in storaged begin so. */
export const SNAPSHOTS = "vectors/";
const SnapshotKey = t.String({
  minLength: 1,
  maxLength: 1024,
  description: `of the object in storaged; begins with ${SNAPSHOTS}`,
});
export const SnapshotBody = t.Object({ key: t.Optional(SnapshotKey) }, { additionalProperties: false });
export type SnapshotQuery = Static<typeof SnapshotBody>;
export const SnapshotSchema = t.Object({
  key: SnapshotKey,
  size: t.Integer({ description: "bytes of the object" }),
  etag: t.String(),
  sha256: t.String({ description: "of the object's bytes, in hex" }),
  index: t.String({ description: "what it was taken of" }),
  dimension: t.Integer(),
  items: t.Integer({ description: "items in it" }),
  created_at: t.String({ description: "when it was asked for; what was acknowledged before is in it" }),
});
export type Snapshot = Static<typeof SnapshotSchema>;
export const RestoreBody = t.Object(
  {
    key: SnapshotKey,
    name: t.Optional(
      t.String({
        pattern: NAME_PATTERN,
        error: INDEX_NAME,
        description: "by default the one that it was taken of",
      }),
    ),
    replace: t.Optional(
      t.Boolean({
        description: "take the place of the index by that name, if there is one; false by default",
      }),
    ),
  },
  { additionalProperties: false },
);
export interface RestoreQuery extends Static<typeof RestoreBody> {
  /** Refuses to make or replace an index of the lake's services. */
  readonly without_reserved?: boolean;
}
export const RestoredSchema = t.Composite([
  IndexSchema,
  t.Object({ replaced: t.Boolean({ description: "whether there was an index by that name" }) }),
]);
export type Restored = Static<typeof RestoredSchema>;

/** An index to and from storaged. */
export interface VectorMoves {
  /**
   * The whole index as one object in storaged; searched and written meanwhile.
   * @throws LakeError invalid, not_found, queue_full, deadline, or storaged's
   */
  snapshot(name: string, query: SnapshotQuery, gone?: AbortSignal): Promise<Snapshot>;
  /**
   * Makes or replaces an index by a snapshot, which is judged whole before anything is replaced.
   * @throws LakeError invalid (no snapshot, or a damaged one), conflict, not_found, resource_limit, deadline, forbidden
   */
  restore(query: RestoreQuery, gone?: AbortSignal): Promise<Restored>;
}
