/** What a machine can hold of the house's order: directions of import, rooms, sizes, and where things are read. */
import { describe, expect, test } from "bun:test";
import { basename, dirname } from "node:path";
import { serviceNames } from "../src/services/index.ts";
import { codeAmong, codeOf, importsOf, namedFiles, read, repositoryFiles } from "./support/source.ts";

/** A file is meant to have 300 lines at most; past this it is split, or listed below with its reason. */
const MAX_FILE_LINES = 330;
const MAX_LINE_CHARS = 140;
const MAX_TEST_LINE_CHARS = 160;
/** Files that may be longer, and why. */
const LONGER: Record<string, { lines: number; why: string }> = {
  "src/settings.ts": { lines: 480, why: "every setting is one schema, validated whole" },
};

const files = repositoryFiles();
const code = codeAmong(files);
const source = code.filter((path) => path.startsWith("src/"));
const serviceOf = (path: string) => /^src\/services\/(\w+)\//.exec(path)?.[1];

/** Lines as long as their code: a sentence or a statement of SQL may be long, since breaking it helps nobody. */
const withoutTexts = (text: string) =>
  text
    .replace(/"[^"\n]{40,}"|'(?:\\.|[^'\\\n]){40,}'/g, '""')
    .replace(/`[^`]*`/g, (literal) => literal.replace(/[^\n]/g, ""));

/** Each fault as `file: what`, so that a failure reads as a list of what to mend. */
const faults = (paths: string[], judge: (path: string) => string[]) =>
  paths.flatMap((path) => judge(path).map((fault) => `${path}: ${fault}`));

describe("imports run one way", () => {
  test("shared knows no service, and nothing above it but the settings", () => {
    const shared = source.filter((path) => path.startsWith("src/shared/"));
    const above = (path: string) =>
      importsOf(path)
        .filter(({ is_file, target }) => is_file && !target.startsWith("src/shared/"))
        .filter(({ target, type_only }) => !(target === "src/config.ts" && type_only))
        .map(({ target }) => target);
    expect(shared.length).toBeGreaterThan(5);
    expect(faults(shared, above)).toEqual([]);
  });

  test("a service sees of a neighbour only the types of its schema", () => {
    const beyond = (path: string) =>
      importsOf(path)
        .filter(({ is_file, target }) => is_file && serviceOf(target) !== serviceOf(path))
        .filter(({ target }) => !target.startsWith("src/shared/") && target !== "src/config.ts")
        .filter(({ target, type_only }) => !(type_only && /^src\/services\/\w+\/schema\.ts$/.test(target)))
        .map(({ target }) => target);
    expect(faults(source.filter(serviceOf), beyond)).toEqual([]);
  });

  test("within a service, index → routes → domain → store, and the schema is the leaf", () => {
    const forbidden: Record<string, string[]> = {
      "routes.ts": ["index.ts", "domain.ts", "store.ts", "client.ts"],
      "domain.ts": ["index.ts", "routes.ts", "client.ts"],
      "store.ts": ["index.ts", "routes.ts", "domain.ts", "client.ts"],
      "client.ts": ["index.ts", "routes.ts", "domain.ts", "store.ts"],
      "schema.ts": ["index.ts", "routes.ts", "domain.ts", "store.ts", "client.ts"],
    };
    const noun = ["index.ts", "routes.ts", "domain.ts", "client.ts"];
    const back = (path: string) =>
      importsOf(path)
        .filter(({ target, type_only }) => dirname(target) === dirname(path) && !type_only)
        .filter(({ target }) => (forbidden[basename(path)] ?? noun).includes(basename(target)))
        .map(({ target }) => target);
    const inner = source.filter((path) => serviceOf(path) && basename(path) !== "index.ts");
    expect(faults(inner, back)).toEqual([]);
  });

  test("the edge reaches a service through the registry only", () => {
    const top = source.filter((path) => /^src\/[^/]+\.ts$/.test(path));
    const inside = (path: string) =>
      importsOf(path)
        .filter(({ target, type_only }) => serviceOf(target) && !type_only)
        .map(({ target }) => target);
    expect(faults(top, inside)).toEqual([]);
  });

  test("every source file is reached from the program's start", () => {
    const reached = new Set<string>();
    const visit = (path: string) => {
      if (reached.has(path)) return;
      reached.add(path);
      for (const { target, is_file } of importsOf(path)) if (is_file && target.endsWith(".ts")) visit(target);
      for (const named of namedFiles(path)) if (source.includes(named)) visit(named);
    };
    visit("src/main.ts");
    expect(source.filter((path) => !reached.has(path))).toEqual([]);
  });

  test("every support file and script is used", () => {
    const texts = ["package.json", ".ci/run", ...code].map((path) => ({ path, text: read(path) }));
    const helpers = code.filter((path) => /^(test\/support|scripts)\//.test(path));
    const unused = helpers.filter((path) => {
      const by_name =
        path.startsWith("scripts/bench/") && /^export (async )?function run\b/m.test(read(path));
      return !by_name && !texts.some((it) => it.path !== path && it.text.includes(basename(path)));
    });
    expect(unused).toEqual([]);
  });
});

describe("every service has the same rooms", () => {
  for (const name of serviceNames)
    test(name, () => {
      // A folder within is a room of data, which its own checks look after.
      const rooms = files
        .filter((path) => dirname(path) === `src/services/${name}`)
        .map((path) => basename(path));
      expect(rooms).toEqual(
        expect.arrayContaining(["index.ts", "schema.ts", "routes.ts", "domain.ts", "client.ts"]),
      );
      expect(rooms.filter((room) => !/^[a-z][a-z0-9_]*\.ts$/.test(room))).toEqual([]);
    });
});

describe("each thing is known in one place", () => {
  test("the rules and the store know nothing of HTTP", () => {
    const inner = source.filter((path) => serviceOf(path) && /^(domain|store)\.ts$/.test(basename(path)));
    const http = (path: string) => [
      ...importsOf(path)
        .filter(({ target }) => target === "elysia" || target.endsWith("shared/http.ts"))
        .map(({ target }) => `imports ${target}`),
      ...(codeOf(path).match(
        /(?<![.\w])(?:Request|Response|Headers|fetch)\b(?=[ ;,(){}>|])|\bset\.status\b/g,
      ) ?? []),
    ];
    expect(inner.length).toBeGreaterThanOrEqual(serviceNames.length);
    expect(faults(inner, http)).toEqual([]);
  });

  test("the door is opened by routes and wiring", () => {
    const opens = source.filter((path) =>
      importsOf(path).some(({ target, type_only }) => target === "src/shared/http.ts" && !type_only),
    );
    const allowed = /^src\/(?:shared\/.*|[^/]+|services\/\w+\/(?:routes|(?:\w+_)?docs|index))\.ts$/;
    expect(opens.filter((path) => !allowed.test(path))).toEqual([]);
  });

  test("the environment is read by main.ts", () => {
    const reads = (path: string) =>
      codeOf(path).match(/\b(process\.env|Bun\.env|import\.meta\.env)\b/g) ?? [];
    expect(
      faults(
        // production.ts sets what Elysia reads for itself.
        source.filter((path) => path !== "src/main.ts" && path !== "src/shared/production.ts"),
        reads,
      ),
    ).toEqual([]);
    expect(reads("src/main.ts")).toHaveLength(1);
    expect(codeOf("src/shared/production.ts").trim()).toStartWith("Bun.env.NODE_ENV = ");
  });

  test("the configuration's file is read by main.ts", () => {
    const parses = (path: string) =>
      importsOf(path)
        .filter(({ target }) => target === "smol-toml")
        .map(({ target }) => target);
    expect(faults(source, parses)).toEqual(["src/config.ts: smol-toml"]);
    const reads = (path: string) => codeOf(path).match(/\bparseConfig\(/g) ?? [];
    const elsewhere = source.filter((path) => path !== "src/main.ts" && path !== "src/config.ts");
    expect(faults(elsewhere, reads)).toEqual([]);
  });
});

describe("files are fit to read", () => {
  test("no type is switched off, and no rule without a reason", () => {
    const escapes = (path: string) => [
      ...(codeOf(path).match(/\bas any\b|: any\b|<any>/g) ?? []),
      ...(read(path).match(/\/\/ *@ts-(?:ignore|nocheck|expect-error)|biome-ignore [^:\n]*$/gm) ?? []),
    ];
    const others = code.filter((path) => path !== "test/tidy.test.ts");
    expect(faults(others, escapes)).toEqual([]);
  });

  test("files and lines are short", () => {
    const long = (path: string) => {
      const lines = read(path).split("\n");
      const allowed =
        LONGER[path]?.lines ?? (path.startsWith("test/") ? Number.POSITIVE_INFINITY : MAX_FILE_LINES);
      const width = path.startsWith("test/") ? MAX_TEST_LINE_CHARS : MAX_LINE_CHARS;
      const wide = withoutTexts(read(path))
        .split("\n")
        .findIndex((line) => line.length > width);
      return [
        ...(lines.length - 1 > allowed ? [`${lines.length - 1} lines (at most ${allowed})`] : []),
        ...(wide >= 0 ? [`line ${wide + 1} has ${lines[wide]?.length} characters`] : []),
      ];
    };
    expect(faults(code, long)).toEqual([]);
    expect(Object.keys(LONGER).filter((path) => !code.includes(path))).toEqual([]);
  });

  test("each begins by saying why it exists", () => {
    const starts = (path: string) =>
      /^(#!.*\n)?(\/\*\*|\/\/)/.test(read(path)) ? [] : ["no comment at its head"];
    expect(faults(source, starts)).toEqual([]);
  });

  test("none names a place of one machine or leaves work undone", () => {
    const place = /(?<![\w.}])\/(?:work|home|root|Users)\/\w{2}/g;
    const undone = /\b(?:TODO|FIXME|XXX|HACK)\b/g;
    const texts = files.filter((path) => /\.(ts|mjs|md|json|toml|py|sh)$/.test(path) || path === ".ci/run");
    const leftovers = (path: string) => [
      ...(read(path).match(place) ?? []),
      ...(read(path).match(undone) ?? []),
    ];
    const self = "test/tidy.test.ts";
    expect(
      faults(
        texts.filter((path) => path !== self),
        leftovers,
      ),
    ).toEqual([]);
  });
});
