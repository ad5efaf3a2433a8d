/** The repository as text: its tracked and new files, and what each TypeScript file imports. */
import { readFileSync } from "node:fs";
import { dirname, join, normalize, resolve } from "node:path";

export const ROOT = resolve(import.meta.dir, "../..");

export interface Import {
  /** The file that is imported, from the root; or the package's specifier as written. */
  readonly target: string;
  readonly is_file: boolean;
  /** Whether nothing of it is left at run time. */
  readonly type_only: boolean;
}

/** Every file of the repository that is not ignored, from its root, sorted. */
export function repositoryFiles(): string[] {
  const listed = Bun.spawnSync(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
  });
  if (!listed.success) throw new Error(`git ls-files failed: ${listed.stderr}`);
  const files = listed.stdout.toString().split("\0").filter(Boolean);
  return [...new Set(files)].filter(exists).sort();
}

/** A file deleted in the working tree is still listed. */
function exists(path: string): boolean {
  return Bun.file(join(ROOT, path)).size > 0;
}

/** The code among files: everything that is type-checked, and the bootstrap. */
export function codeAmong(files: readonly string[]): string[] {
  return files.filter((path) => /^(src|test|scripts)\/.*\.(ts|mjs)$/.test(path));
}

export function read(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

/** `import … from "x";` and `export … from "x";`, as the formatter writes them. */
const STATEMENT = /^(?:import|export) (type )?([^;]*? from )?"([^"]+)"(?: with \{[^}]*\})?;$/gm;
const DYNAMIC = /\bimport\("([^"]+)"\)/g;

/**
 * What a TypeScript file imports, types included: those the transpiler forgets.
 * @throws Error where the transpiler knows of one that was not found, so that nothing slips by
 */
export function importsOf(path: string): Import[] {
  const text = read(path);
  const found: Import[] = [];
  const add = (specifier: string, type_only: boolean) => {
    const is_file = specifier.startsWith(".");
    found.push({
      target: is_file ? normalize(join(dirname(path), specifier)) : specifier,
      is_file,
      type_only,
    });
  };
  for (const [, type, , specifier] of text.matchAll(STATEMENT)) add(specifier as string, type !== undefined);
  for (const [, specifier] of text.matchAll(DYNAMIC)) add(specifier as string, false);
  const seen = new Set(found.map(({ target }) => target));
  for (const { path: specifier } of new Bun.Transpiler({ loader: "ts" }).scanImports(text)) {
    const target = specifier.startsWith(".") ? normalize(join(dirname(path), specifier)) : specifier;
    if (!seen.has(target)) throw new Error(`${path}: the import of ${specifier} was not recognised`);
  }
  return found;
}

/** The code of a file with comments and the texts of strings left out, line breaks kept. */
export function codeOf(path: string): string {
  return read(path).replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g, (match) =>
    match.replace(/[^\n]/g, " "),
  );
}

/** Quoted TypeScript files: workers and other processes are started by name, not imported. */
export function namedFiles(path: string): string[] {
  const names = [...read(path).matchAll(/["'`]((?:\.{0,2}\/)?[\w./-]+\.ts)["'`]/g)].map(
    ([, name]) => name as string,
  );
  return names.flatMap((name) => [normalize(join(dirname(path), name)), normalize(name)]);
}
