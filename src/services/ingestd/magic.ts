/** What a file is by its first bytes, where it is none of the formats that are read here; gzip and zstd are unpacked before. */
import { LakeError } from "../../shared/errors.ts";
import type { FileFormat } from "./schema.ts";

const UNPACK = "Unpack it, and send what is in it.";
const EXPORT = "Save or export its rows as CSV, and send that.";
const ZIP = "PK\x03\x04";
/** Where a ZIP archive names its first entry. */
const ZIP_NAME_AT = 30;

interface Beginning {
  readonly name: string;
  /** As Latin-1. */
  readonly bytes: string;
  readonly at?: number;
  /** Of a ZIP archive, how its first entry's name begins. */
  readonly entry?: string;
  readonly advice?: string;
}

/** Where several fit, the first is meant. */
const BEGINNINGS: readonly Beginning[] = [
  ...["[Content_Types]", "_rels/", "docProps/", "xl/"].map((entry) => ({
    name: "an Excel or other Office file",
    bytes: ZIP,
    entry,
    advice: EXPORT,
  })),
  { name: "an OpenDocument file", bytes: ZIP, entry: "mimetypeapplication/vnd.oasis", advice: EXPORT },
  { name: "a ZIP archive", bytes: ZIP, advice: UNPACK },
  { name: "an old Excel or other Office file", bytes: "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", advice: EXPORT },
  { name: "bzip2", bytes: "1AY&SY", at: 4, advice: UNPACK },
  { name: "xz", bytes: "\xfd7zXZ\0", advice: UNPACK },
  { name: "a 7-Zip archive", bytes: "7z\xbc\xaf\x27\x1c", advice: UNPACK },
  { name: "a PDF", bytes: "%PDF-", advice: EXPORT },
  { name: "an SQLite database", bytes: "SQLite format 3\0", advice: EXPORT },
  { name: "Avro", bytes: "Obj\x01", advice: EXPORT },
  { name: "an Arrow file", bytes: "ARROW1\0", advice: "Save it as Parquet, and send that." },
  { name: "a PNG image", bytes: "\x89PNG\r\n" },
  { name: "a JPEG image", bytes: "\xff\xd8\xff" },
];

/** @param format what it was said to be, if anything @throws LakeError invalid, saying what it is */
export function refuseForeign(head: Uint8Array, format: FileFormat | undefined): void {
  const text = Buffer.from(head).toString("latin1");
  const found = BEGINNINGS.find(
    ({ bytes, at = 0, entry }) =>
      text.startsWith(bytes, at) && (entry === undefined || text.startsWith(entry, ZIP_NAME_AT)),
  );
  if (found) throw refused(found.name, format, found.advice);
  if (format !== undefined && format !== "parquet" && text.startsWith("PAR1"))
    throw refused("Parquet", format, "Leave format out, or say format=parquet.");
}

function refused(name: string, format: FileFormat | undefined, advice = ""): LakeError {
  const wanted = format === undefined ? "CSV, JSON or Parquet" : FORMATS[format];
  return new LakeError("invalid", `The file is ${name}, not ${wanted}.${advice === "" ? "" : ` ${advice}`}`);
}

const FORMATS: Record<FileFormat, string> = {
  csv: "CSV",
  tsv: "TSV",
  json: "JSON",
  ndjson: "NDJSON",
  parquet: "Parquet",
};
