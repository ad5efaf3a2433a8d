/**
 * Keys and scopes. A key is `lh_<name>_<secret>`; the config keeps its SHA-256. The processes of one
 * machine know each other by a token of their own, kept in data_dir, that no scope can stand in for.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { LakeError } from "./errors.ts";

export type Scope = `${string}:${"read" | "write"}`;

/** Who is calling: a named key, another service of this lake, or anyone where no key is configured. */
export interface Principal {
  readonly name: string;
  readonly scopes: readonly string[];
  readonly is_service: boolean;
}

interface StoredKey {
  readonly name: string;
  readonly sha256: string;
  readonly scopes: readonly string[];
}

const ANYONE: Principal = { name: "anyone", scopes: ["*"], is_service: false };
const SERVICE: Principal = { name: "service", scopes: ["*"], is_service: true };

export class KeyRing {
  readonly #keys: Map<string, { digest: Buffer; principal: Principal }>;
  readonly #service_digest: Buffer;

  constructor(keys: readonly StoredKey[], service_token: string) {
    this.#service_digest = sha256(service_token);
    this.#keys = new Map(
      keys.map((key) => [
        key.name,
        {
          digest: Buffer.from(key.sha256, "hex"),
          principal: { name: key.name, scopes: key.scopes, is_service: false },
        },
      ]),
    );
  }

  /** Whether no key is configured, and so anyone may do anything. */
  get is_empty(): boolean {
    return this.#keys.size === 0;
  }

  /**
   * Who holds this key.
   * @throws LakeError `unauthenticated` when a key is needed and missing, or given and unknown
   */
  identify(headers: Headers): Principal {
    return this.identifyBy(headers.get("x-api-key"), headers.get("authorization"));
  }

  /** The same, by what the two headers say that can hold a key. @throws LakeError as `identify` */
  identifyBy(api_key: string | null | undefined, authorization: string | null | undefined): Principal {
    const key = api_key?.trim() ?? bearerOf(authorization);
    // A wrong service token is refused even where anyone may call: its sender takes itself for a service.
    if (key?.startsWith("lhs_")) {
      if (timingSafeEqual(sha256(key), this.#service_digest)) return SERVICE;
      throw new LakeError("unauthenticated", "The service token is not this lake's.");
    }
    if (this.is_empty) return ANYONE;
    if (key === undefined)
      throw new LakeError(
        "unauthenticated",
        "Send a key as `Authorization: Bearer lh_…` or `x-api-key: lh_…`.",
      );
    const name = /^lh_([a-z0-9-]{1,64})_/.exec(key)?.[1];
    const stored = name === undefined ? undefined : this.#keys.get(name);
    if (stored && timingSafeEqual(sha256(key), stored.digest)) return stored.principal;
    throw new LakeError("unauthenticated", "The key is not known here.");
  }

  /** @throws LakeError `unauthenticated` or `forbidden` */
  authorize(headers: Headers, scope: Scope): Principal {
    const principal = this.identify(headers);
    requireScope(principal, scope);
    return principal;
  }
}

export function hasScope({ scopes }: Principal, scope: Scope): boolean {
  return scopes.includes("*") || scopes.includes(scope);
}

/** @throws LakeError `forbidden` */
export function requireScope(principal: Principal, scope: Scope): void {
  if (!hasScope(principal, scope))
    throw new LakeError("forbidden", `The key "${principal.name}" lacks the scope ${scope}.`);
}

/** Undefined where there is none, or none of a form we know (Basic, two of them joined by a comma). */
function bearerOf(authorization: string | null | undefined): string | undefined {
  return authorization ? /^Bearer +(\S+) *$/i.exec(authorization)?.[1] : undefined;
}

function sha256(text: string): Buffer {
  return Bun.SHA256.hash(text, Buffer.allocUnsafe(32)) as Buffer;
}

/** A new key and what the config keeps of it; the key itself is shown once and stored nowhere. */
export function createKey(name: string): { key: string; sha256: string } {
  const key = `lh_${name}_${randomBytes(32).toString("base64url")}`;
  return { key, sha256: sha256(key).toString("hex") };
}

/**
 * The token by which this lake's own processes know each other; made by whichever starts first.
 * @throws Error where the file holds anything else: services would refuse each other, or trust a guess
 */
export function serviceToken(data_dir: string): string {
  mkdirSync(data_dir, { recursive: true });
  const path = join(data_dir, "service.token");
  if (!existsSync(path)) makeServiceToken(path);
  const token = readFileSync(path, "utf8").trim();
  if (!/^lhs_[A-Za-z0-9_-]{43}$/.test(token))
    throw new Error(`${path} holds no service token; stop every service of this lake and delete it`);
  return token;
}

/** Written aside and linked, so that of two processes starting at once one wins whole. */
function makeServiceToken(path: string): void {
  const aside = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  const fd = openSync(aside, "wx", 0o600);
  try {
    writeSync(fd, `lhs_${randomBytes(32).toString("base64url")}\n`);
    fsyncSync(fd);
    linkSync(aside, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    closeSync(fd);
    rmSync(aside, { force: true });
  }
}
