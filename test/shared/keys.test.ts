import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createKey, KeyRing, serviceToken } from "../../src/shared/keys.ts";

const scratch = mkdtempSync(join(tmpdir(), "lakehouse-keys-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const TOKEN = `lhs_${"t".repeat(43)}`;
const reader = createKey("reader");
const admin = createKey("admin");
const ring = new KeyRing(
  [
    { name: "reader", sha256: reader.sha256, scopes: ["storaged:read"] },
    { name: "admin", sha256: admin.sha256, scopes: ["*"] },
  ],
  TOKEN,
);
const open = new KeyRing([], TOKEN);
const bearer = (key: string) => new Headers({ authorization: `Bearer ${key}` });
const direct = (key: string) => new Headers({ "x-api-key": key });

describe("a ring with keys", () => {
  test("knows a key however it is sent, and by its own name only", () => {
    for (const headers of [
      bearer(reader.key),
      direct(reader.key),
      new Headers({ authorization: `bearer  ${reader.key} ` }),
    ])
      expect(ring.identify(headers)).toEqual({
        name: "reader",
        scopes: ["storaged:read"],
        is_service: false,
      });
    expect(ring.identify(bearer(admin.key)).name).toBe("admin");
  });

  test("refuses whatever is no key of its own", () => {
    const secret = reader.key.slice("lh_reader_".length);
    for (const headers of [
      new Headers(),
      direct(""),
      bearer(`lh_admin_${secret}`),
      bearer(`lh_nobody_${secret}`),
      bearer(`lh__${secret}`),
      bearer(reader.key.slice(0, -1)),
      bearer(`${reader.key}x`),
      bearer(reader.sha256),
      bearer(`lh_reader_${reader.sha256}`),
      bearer("lh_toString_x"),
      bearer("lh_constructor_x"),
      bearer(createKey("reader").key),
      new Headers({ authorization: `Basic ${reader.key}` }),
      new Headers({ authorization: reader.key }),
      new Headers([
        ["authorization", `Bearer ${reader.key}`],
        ["authorization", `Bearer ${admin.key}`],
      ]),
      new Headers([
        ["x-api-key", reader.key],
        ["x-api-key", reader.key],
      ]),
      new Headers({ "x-api-key": "wrong", authorization: `Bearer ${reader.key}` }),
    ])
      expect(() => ring.identify(headers)).toThrow(expect.objectContaining({ code: "unauthenticated" }));
  });

  test("lets a key do what its scopes say, and nothing beside", () => {
    expect(ring.authorize(bearer(reader.key), "storaged:read").name).toBe("reader");
    for (const scope of ["storaged:write", "catalogd:read", "storaged:rea"] as const)
      expect(() => ring.authorize(bearer(reader.key), scope as "storaged:write")).toThrow(
        expect.objectContaining({ code: "forbidden" }),
      );
    expect(ring.authorize(bearer(admin.key), "storaged:write").is_service).toBe(false);
  });
});

test("a ring without keys takes anyone, for anyone, whatever they send", () => {
  for (const headers of [
    new Headers(),
    bearer("lh_x_y"),
    direct(""),
    new Headers({ authorization: "Basic eDp5" }),
  ])
    expect(open.identify(headers)).toEqual({ name: "anyone", scopes: ["*"], is_service: false });
});

test("only the lake's own token makes a service, with keys and without", () => {
  for (const it of [ring, open]) {
    expect(it.identify(bearer(TOKEN)).is_service).toBe(true);
    for (const wrong of [`${TOKEN}x`, TOKEN.slice(0, -1), "lhs_", `lhs_${"u".repeat(43)}`])
      expect(() => it.identify(bearer(wrong))).toThrow(expect.objectContaining({ code: "unauthenticated" }));
  }
});

describe("the service token", () => {
  test("is made once, readable by its owner only, and the same for all who start together", async () => {
    const data_dir = join(scratch, "together");
    const script = `import { serviceToken } from ${JSON.stringify(resolve(import.meta.dir, "../../src/shared/keys.ts"))}; console.log(serviceToken(${JSON.stringify(data_dir)}));`;
    const tokens = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const started = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
        return (await new Response(started.stdout).text()).trim();
      }),
    );
    expect(new Set(tokens)).toEqual(new Set([serviceToken(data_dir)]));
    expect(tokens[0]).toMatch(/^lhs_[A-Za-z0-9_-]{43}$/);
    expect(readdirSync(data_dir)).toEqual(["service.token"]);
    expect(statSync(join(data_dir, "service.token")).mode & 0o777).toBe(0o600);
  });

  test("is never taken from a file that holds none", () => {
    for (const text of ["", "\n", "lhs_", "lhs_short", "secret"]) {
      const data_dir = mkdtempSync(join(scratch, "bad-"));
      writeFileSync(join(data_dir, "service.token"), text);
      expect(() => serviceToken(data_dir)).toThrow("holds no service token");
    }
  });
});
