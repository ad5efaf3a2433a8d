/**
 * Registration: Parquet objects of storaged become a table. Each is copied into the table's own folder,
 * which queryd's workers may read and which no other writer can change under the table.
 */
import { randomUUID } from "node:crypto";
import { LakeError } from "../../shared/errors.ts";
import type { Committer } from "./commit.ts";
import { type ParquetObject, toDataFile } from "./datafile.ts";
import { beginTable, type CommitLimits, targetOf } from "./draft.ts";
import { columnsOf, fieldsOf, sayDifference, schemaDifference, schemaFingerprint } from "./drift.ts";
import { assignIds, checkFields } from "./fields.ts";
import type { FileColumn } from "./footer.ts";
import { currentSchema, currentSnapshot } from "./metadata.ts";
import { parseName } from "./names.ts";
import { liveFiles } from "./plan.ts";
import type {
  Column,
  IcebergField,
  IcebergType,
  Registered,
  RegisterObject,
  Registration,
} from "./schema.ts";
import type { RegisteredObject } from "./store.ts";
import type { Table, Tables } from "./tables.ts";
import { fieldIdsAfter } from "./types.ts";
import { manifestOf } from "./views.ts";
import { locationOf } from "./warehouse.ts";

export class Registrar {
  readonly #tables: Tables;
  readonly #committer: Committer;
  readonly #limits: CommitLimits;

  constructor(tables: Tables, committer: Committer, limits: CommitLimits) {
    this.#tables = tables;
    this.#committer = committer;
    this.#limits = limits;
  }

  async register(registration: Registration): Promise<Registered> {
    const { full } = parseName(registration.name);
    const declared = checkFields(fieldsOf(registration.schema), this.#limits.max_columns);
    const columns = columnsOf(declared);
    checkFingerprint(columns, registration.schema_fingerprint);
    checkObjects(registration.objects, this.#limits.max_commit_files);
    if (this.#tables.store.find(full)) return this.#compare(full, columns, registration.objects);
    try {
      await this.#make(full, declared, registration.objects);
    } catch (error) {
      const lost = error instanceof LakeError && error.code === "conflict" && this.#tables.store.find(full);
      if (!lost) throw error;
      return this.#compare(full, columns, registration.objects);
    }
    return { ...(await this.#manifest(full)), existing: false };
  }

  async #manifest(name: string) {
    return manifestOf(this.#tables.warehouse, await this.#tables.find(name), {});
  }

  async #make(name: string, declared: IcebergField[], objects: readonly RegisterObject[]): Promise<void> {
    if (objects.length === 0) {
      await this.#committer.create(name, { fields: declared });
      return;
    }
    const sources: ParquetObject[] = [];
    for (const { key, rows } of objects) sources.push(await this.#source(key, rows));
    const fields = adoptIds(declared, sources);
    const { metadata, folder } = beginTable(
      name,
      { fields },
      this.#limits.max_columns,
      this.#tables.now_ms(),
    );
    // Every object is checked before any is copied.
    for (const source of sources) toDataFile(source, locationOf(source.key), targetOf(metadata));
    const copies: RegisteredObject[] = [];
    try {
      for (const { key } of sources) copies.push(await this.#copy(key, folder));
      const commit = { operation: "append" as const, add: copies.map(({ key }) => ({ key })), remove: [] };
      const copied = await this.#committer.footers(folder, commit);
      await this.#committer.insertWith(name, folder, metadata, copied, commit, copies);
    } catch (error) {
      await this.#tables.discard(copies.map(({ key }) => key));
      throw error;
    }
  }

  async #source(key: string, rows: number | undefined): Promise<ParquetObject> {
    const source = await this.#tables.warehouse.parquet(key);
    if (rows !== undefined && BigInt(rows) !== source.footer.rows)
      throw new LakeError("invalid", `Object "${key}" has ${source.footer.rows} rows, not ${rows}.`);
    return source;
  }

  async #copy(source_key: string, folder: string): Promise<RegisteredObject> {
    const { storaged } = this.#tables.warehouse;
    const key = `${folder}/data/${randomUUID()}.parquet`;
    const { info, body } = await storaged.get(source_key);
    const { sha256 } = await storaged.put(key, body, {
      create_only: true,
      by_service: true,
      size: info.size,
    });
    return { source_key, source_etag: info.etag, sha256, key };
  }

  /** The table that is there, where it is the same. @throws LakeError conflict, telling what differs */
  async #compare(
    name: string,
    columns: readonly Column[],
    objects: readonly RegisterObject[],
  ): Promise<Registered> {
    const table = await this.#tables.find(name);
    const present = columnsOf(currentSchema(table.metadata).fields);
    const difference = schemaDifference(present, columns);
    if (difference.length > 0)
      throw new LakeError(
        "conflict",
        `Table "${table.pointer.name}" has another schema: ${sayDifference(difference)}. Register under another name, or change the table's schema (POST /v1/catalog/evolve/${table.pointer.name}).`,
        {
          difference,
          schema_fingerprint: schemaFingerprint(columns),
          registered_fingerprint: schemaFingerprint(present),
        },
      );
    await this.#compareObjects(table, objects);
    return { ...(await this.#manifest(name)), existing: true };
  }

  async #compareObjects(table: Table, objects: readonly RegisterObject[]): Promise<void> {
    const given = new Set(objects.map(({ key }) => key));
    const registered = this.#tables.store.registered(table.pointer.uuid);
    const sources = new Set(registered.map((it) => it.source_key));
    if (Bun.deepEquals(given, sources)) {
      const changed: string[] = [];
      for (const it of registered) if (await this.#hasChanged(it)) changed.push(it.source_key);
      if (changed.length === 0) return;
      throw otherObjects(table, { missing: [], added: [], changed });
    }
    const snapshot = currentSnapshot(table.metadata);
    const files = snapshot ? await liveFiles(this.#tables.warehouse, snapshot) : [];
    if (Bun.deepEquals(given, new Set(files.map((it) => it.scan.key)))) return;
    throw otherObjects(table, {
      missing: [...sources.difference(given)],
      added: [...given.difference(sources)],
      changed: [],
    });
  }

  /** Whether an object has other bytes by now than when it was registered; one that is gone hasn't. */
  async #hasChanged({ source_key, source_etag, sha256 }: RegisteredObject): Promise<boolean> {
    const { storaged } = this.#tables.warehouse;
    try {
      if ((await storaged.head(source_key)).etag === source_etag) return false;
      const { body } = await storaged.get(source_key);
      const hasher = new Bun.CryptoHasher("sha256");
      for await (const chunk of body instanceof Blob ? body.stream() : body) hasher.update(chunk);
      return hasher.digest("hex") !== sha256;
    } catch (error) {
      if (error instanceof LakeError && error.code === "not_found") return false;
      throw error;
    }
  }
}

function checkFingerprint(columns: readonly Column[], given: string | undefined): void {
  const computed = schemaFingerprint(columns);
  if (given !== undefined && given.toLowerCase() !== computed)
    throw new LakeError(
      "conflict",
      `schema_fingerprint is not that of the schema, which is ${computed}: SHA-256 of the JSON of its columns in order, as {"name","type","nullable"} with Iceberg's type names.`,
      { schema_fingerprint: computed },
    );
}

function checkObjects(objects: readonly RegisterObject[], most: number): void {
  if (objects.length > most)
    throw new LakeError(
      "invalid",
      `objects names ${objects.length} files, and at most ${most} are taken at once.`,
    );
  if (new Set(objects.map(({ key }) => key)).size < objects.length)
    throw new LakeError("invalid", "objects names the same key twice.");
}

const OBJECTS_TOLD = 20;

function otherObjects(
  { pointer }: Table,
  { missing, added, changed }: Record<"missing" | "added" | "changed", string[]>,
): LakeError {
  const objects = {
    missing: missing.slice(0, OBJECTS_TOLD),
    added: added.slice(0, OBJECTS_TOLD),
    changed: changed.slice(0, OBJECTS_TOLD),
  };
  return new LakeError(
    "conflict",
    `Table "${pointer.name}" has the same schema and other objects: ${added.length} given are not in it, ${missing.length} in it are not given, ${changed.length} have changed. Add rows by POST /v1/ingest?name=${pointer.name}&mode=append, or register under another name.`,
    { objects },
  );
}

/** Numbers the columns as the objects' own field ids do, where one has them; in order otherwise. */
function adoptIds(declared: IcebergField[], objects: readonly ParquetObject[]): IcebergField[] {
  const numbered = objects.find(({ footer }) => footer.columns.some((it) => it.field_id !== undefined));
  if (!numbered) return assignIds(declared, fieldIdsAfter(0));
  const fresh = fieldIdsAfter(highestId(numbered.footer.columns));
  return adoptStruct(declared, numbered.footer.columns, fresh);
}

type Ids = ReturnType<typeof fieldIdsAfter>;

function highestId(columns: readonly FileColumn[]): number {
  return columns.reduce((highest, { field_id = 0, type }) => {
    const below =
      typeof type === "string"
        ? []
        : type.kind === "struct"
          ? type.fields
          : type.kind === "list"
            ? [type.element]
            : [type.key, type.value];
    return Math.max(highest, field_id, highestId(below));
  }, 0);
}

function adoptStruct(
  fields: readonly IcebergField[],
  columns: readonly FileColumn[],
  fresh: Ids,
): IcebergField[] {
  return fields.map((field) => {
    const column = columns.find((it) => it.name === field.name);
    return {
      ...field,
      id: column?.field_id ?? fresh.next(),
      type: adoptType(field.type, column?.type, fresh),
    };
  });
}

function adoptType(type: IcebergType, given: FileColumn["type"] | undefined, fresh: Ids): IcebergType {
  if (typeof type === "string") return type;
  const nested = typeof given === "object" && given.kind === type.type ? given : undefined;
  if (type.type === "struct")
    return {
      type: "struct",
      fields: adoptStruct(type.fields, nested?.kind === "struct" ? nested.fields : [], fresh),
    };
  if (type.type === "list") {
    const element = nested?.kind === "list" ? nested.element : undefined;
    const id = element?.field_id ?? fresh.next();
    return { ...type, "element-id": id, element: adoptType(type.element, element?.type, fresh) };
  }
  const { key, value } = nested?.kind === "map" ? nested : { key: undefined, value: undefined };
  return {
    ...type,
    "key-id": key?.field_id ?? fresh.next(),
    key: adoptType(type.key, key?.type, fresh),
    "value-id": value?.field_id ?? fresh.next(),
    value: adoptType(type.value, value?.type, fresh),
  };
}
