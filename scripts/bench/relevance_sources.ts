/**
 * Labelled text for the relevance benchmark, out of what `npm ci` installs: chunks of documentation, each labelled
 * by the source that it was cut from. Three kinds of neighbourhood: packages among packages, modules of one library
 * (Node's typings), pages of one project's documentation (Bun's). Addresses are cut out of the texts, since they
 * often name the source.
 */
import { readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";

export interface Chunk {
  readonly source: string;
  readonly path: string;
  readonly text: string;
}

export interface Neighbourhood {
  readonly name: string;
  readonly chunks: readonly Chunk[];
}

const MODULES = resolve(import.meta.dir, "../../node_modules");
const MIN_WORDS = 25;
const MAX_WORDS = 130;
/** A source with fewer tells too little of itself; of one with more a spread of so many is taken. */
const MIN_CHUNKS = 10;
const MAX_CHUNKS = 40;

export function neighbourhoods(): Neighbourhood[] {
  return [packages(), modules(), pages()].map(({ name, chunks }) => ({ name, chunks: spread(chunks) }));
}

/** A package's own documents: what is told of every package alike, and translations, are left out. */
function packages(): Neighbourhood {
  const skipped =
    /\/node_modules\/|(^|\/)(changelog|history|license|contributing|security|code_of_conduct)|readme\.[a-z-]+\.md$/i;
  const own = files("**/*.md").filter((path) => !skipped.test(path));
  return {
    name: "packages",
    chunks: own.flatMap((path) => {
      const source = path
        .split("/")
        .slice(0, path.startsWith("@") ? 2 : 1)
        .join("/");
      return source === "bun-types" ? [] : markdown(read(path)).map((text) => ({ source, path, text }));
    }),
  };
}

/** Node's modules, by the comments of their declarations, each with the line that it stands above. */
function modules(): Neighbourhood {
  return {
    name: "modules",
    chunks: files("@types/node/*.d.ts").flatMap((path) =>
      comments(read(path)).map((text) => ({ source: basename(path).split(".")[0] as string, path, text })),
    ),
  };
}

function pages(): Neighbourhood {
  return {
    name: "pages",
    chunks: files("bun-types/docs/**/*.mdx").flatMap((path) =>
      markdown(read(path)).map((text) => ({ source: path.replace(/\.mdx$/, ""), path, text })),
    ),
  };
}

function files(pattern: string): string[] {
  return [...new Bun.Glob(pattern).scanSync({ cwd: MODULES, followSymlinks: true })].sort();
}

const read = (path: string) => readFileSync(join(MODULES, path), "utf8");

/** Sections cut at paragraphs into pieces of some size; small ones run on into the next. */
function markdown(text: string): string[] {
  const body = text.replace(/^---\n[\s\S]*?\n---\n/, "").replace(/<[^>\n]{1,400}>/g, " ");
  return pieces(withoutAddresses(body).split(/\n\s*\n|\n(?=#{1,6} )/));
}

function comments(text: string): string[] {
  const found = [...text.matchAll(/\/\*\*\n([\s\S]*?)\*\/\s*\n([^\n]*)/g)];
  return pieces(
    found.map(([, comment = "", line = ""]) =>
      withoutAddresses(`${line.trim()}\n${comment.replace(/^\s*\* ?/gm, "")}`),
    ),
  );
}

function withoutAddresses(text: string): string {
  return text
    .replace(/\]\([^)\s]*\)/g, "]")
    .replace(/^\[[^\]]+\]:.*$/gm, "")
    .replace(/https?:\/\/[^\s)>\]"'`]+/g, " ");
}

function pieces(paragraphs: readonly string[]): string[] {
  const out: string[] = [];
  let words: string[] = [];
  const end = () => {
    if (words.length >= MIN_WORDS) out.push(words.join(" "));
    words = [];
  };
  for (const paragraph of paragraphs) {
    const more = paragraph.split(/\s+/).filter((word) => word !== "");
    if (words.length + more.length > MAX_WORDS) end();
    words.push(...more.slice(0, MAX_WORDS));
    if (words.length >= MAX_WORDS / 2) end();
  }
  end();
  return out;
}

/** Sources with enough to tell, and of each the same number at most, evenly from beginning to end; no text twice. */
function spread(chunks: readonly Chunk[]): Chunk[] {
  const seen = new Set<string>();
  const unique = chunks.filter(({ text }) => !seen.has(text) && seen.add(text));
  return [...Map.groupBy(unique, ({ source }) => source).values()].flatMap((own) => {
    if (own.length < MIN_CHUNKS) return [];
    const step = Math.max(1, own.length / MAX_CHUNKS);
    return Array.from(
      { length: Math.min(own.length, MAX_CHUNKS) },
      (_, at) => own[Math.floor(at * step)] as Chunk,
    );
  });
}
