/**
 * Where an object lies on disk. Keys of the lake are stored as themselves; every other key is encoded
 * so that no two can meet on any file system, whatever it folds (case, Unicode forms), refuses (long
 * names, trailing dots, reserved names) or can't hold at once (a file `a` and a directory `a`).
 *
 *   storage/warehouse/…   the key itself
 *   storage/objects/…     d_<segment>/ for a directory, f_<segment> for the object at its end, and
 *                         c_<part>/ for the first part of a segment too long for one name
 *
 * In a name, a–z 0–9 _ - . are themselves, +x is the capital of x, =hh is the byte hh.
 */
import { dirname, join } from "node:path";
import { LakeError } from "../../shared/errors.ts";
import { LAKE_PREFIX } from "./keys.ts";

/** The longest encoded part of a name; with its two-letter kind it stays under every limit of 255. */
const MAX_NAME_CHARS = 240;
const MAX_LAKE_SEGMENT_BYTES = 255;
/** Reserved at the head of a name in the warehouse; elsewhere t_ can't be the name of anything else. */
const LAKE_TEMPORARY = ".lakehouse-tmp-";
const TEMPORARY = "t_";

const NAMES: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  if (/[a-z0-9_.-]/.test(char)) return char;
  if (/[A-Z]/.test(char)) return `+${char.toLowerCase()}`;
  return `=${byte.toString(16).padStart(2, "0")}`;
});

export type Area = "warehouse" | "objects";

/** What a name on disk stands for; `text` is bytes as Latin-1, so that comparing strings compares bytes. */
export interface Name {
  kind: "object" | "directory" | "part" | "temporary";
  text: string;
}

export class Layout {
  readonly #root: string;

  /** @param root storaged's own folder, absolute */
  constructor(root: string) {
    this.#root = root;
  }

  /** The folder of an area. */
  area(area: Area): string {
    return join(this.#root, area);
  }

  /**
   * The file of a key that checkKey has passed.
   * @throws LakeError `invalid` for a key of the lake that no file system can hold as itself
   */
  pathOf(key: string): string {
    if (!key.startsWith(LAKE_PREFIX)) {
      const segments = key.split("/");
      const last = segments.length - 1;
      return join(
        this.area("objects"),
        ...segments.flatMap((it, at) => namesOf(it, at === last ? "f_" : "d_")),
      );
    }
    for (const segment of key.split("/")) {
      if (Buffer.byteLength(segment) > MAX_LAKE_SEGMENT_BYTES)
        throw new LakeError(
          "invalid",
          `Under ${LAKE_PREFIX} a segment of a key may have at most ${MAX_LAKE_SEGMENT_BYTES} bytes.`,
        );
      if (segment.startsWith(LAKE_TEMPORARY))
        throw new LakeError("invalid", `Under ${LAKE_PREFIX} no segment may begin with ${LAKE_TEMPORARY}.`);
    }
    return join(this.#root, key);
  }

  /**
   * The folder that holds the keys beginning with `segments` and a slash.
   * Undefined where no key can.
   */
  folderOf(segments: readonly string[]): { area: Area; path: string } | undefined {
    if (segments.some((it) => it === "" || it === "." || it === ".." || it.includes("\\"))) return undefined;
    if (segments[0] === "warehouse") {
      if (segments.some((it) => Buffer.byteLength(it) > MAX_LAKE_SEGMENT_BYTES)) return undefined;
      return { area: "warehouse", path: join(this.#root, ...segments) };
    }
    return {
      area: "objects",
      path: join(this.area("objects"), ...segments.flatMap((it) => namesOf(it, "d_"))),
    };
  }

  /** A temporary's path beside a target. */
  temporaryBeside(path: string, id: string): string {
    const lake = path.startsWith(`${this.area("warehouse")}/`);
    return join(dirname(path), `${lake ? LAKE_TEMPORARY : TEMPORARY}${id}`);
  }
}

/** Reads a name found on disk; undefined where it is not one of ours. */
export function readName(area: Area, name: string, is_directory: boolean): Name | undefined {
  if (area === "warehouse") {
    if (name.startsWith(LAKE_TEMPORARY)) return { kind: "temporary", text: "" };
    // Put there by hand under a name that no key can have.
    if (name.includes("\\") || name.includes("\ufffd")) return undefined;
    return { kind: is_directory ? "directory" : "object", text: toBytes(name) };
  }
  if (name.startsWith(TEMPORARY)) return { kind: "temporary", text: "" };
  const kind = { f_: "object", d_: "directory", c_: "part" }[name.slice(0, 2)] as Name["kind"] | undefined;
  if (kind === undefined || is_directory === (kind === "object")) return undefined;
  const text = decodeName(name.slice(2));
  return text === undefined ? undefined : { kind, text };
}

/** A string's UTF-8 bytes, one character each. */
export function toBytes(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** The inverse of toBytes. */
export function fromBytes(bytes: string): string {
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** A segment's names on disk: its parts, then the end that tells what it is. */
function namesOf(segment: string, kind: "f_" | "d_"): string[] {
  const names: string[] = [];
  let name = "";
  for (const byte of Buffer.from(segment, "utf8")) {
    const next = NAMES[byte] as string;
    if (name.length + next.length > MAX_NAME_CHARS) {
      names.push(`c_${sealed(name)}`);
      name = "";
    }
    name += next;
  }
  return [...names, kind + sealed(name)];
}

/** A dot at the end of a name is dropped by some file systems. */
function sealed(name: string): string {
  return name.endsWith(".") ? `${name.slice(0, -1)}=2e` : name;
}

function decodeName(name: string): string | undefined {
  if (!/^(?:[a-z0-9_.-]|\+[a-z]|=[0-9a-f]{2})+$/.test(name)) return undefined;
  return name.replace(/\+([a-z])|=([0-9a-f]{2})/g, (_, letter?: string, hex?: string) =>
    letter !== undefined ? letter.toUpperCase() : String.fromCharCode(Number.parseInt(hex as string, 16)),
  );
}
