/**
 * Iceberg's JSON documents with their 64-bit numbers intact. Snapshot ids are always bigint, and any
 * other whole number is one where a double can't hold it.
 */

const SNAPSHOT_ID_MEMBERS = new Set(["snapshot-id", "parent-snapshot-id", "current-snapshot-id"]);

/** The parts of JSON (ECMAScript's JSON.parse source text access) that the type library doesn't have yet. */
const exactJson = JSON as unknown as {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context: { source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): unknown;
};

/** @throws SyntaxError */
export function parseIcebergJson(text: string): unknown {
  return exactJson.parse(text, (key, value, context) => {
    if (typeof value !== "number" || !Number.isInteger(value)) return value;
    const exact = SNAPSHOT_ID_MEMBERS.has(key) || !Number.isSafeInteger(value);
    return exact && context.source !== undefined && /^-?\d+$/.test(context.source)
      ? BigInt(context.source)
      : value;
  });
}

export function formatIcebergJson(value: unknown): string {
  return JSON.stringify(value, (_key, member) =>
    typeof member === "bigint" ? exactJson.rawJSON(member.toString()) : member,
  );
}
