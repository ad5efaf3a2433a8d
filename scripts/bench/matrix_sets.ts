/** Retrieval sets laid out as corpora: as they come, and split by chance, by size and by topic. */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { seeded } from "../../test/support/vectors.ts";

export interface Document {
  /** Told apart from those of every other set by its beginning. */
  readonly id: string;
  readonly text: string;
}

export interface JudgedSet {
  readonly name: string;
  /** One, or its conversations. */
  readonly parts: Document[][];
  readonly queries: { readonly text: string; readonly relevant: ReadonlySet<string> }[];
}

interface Part {
  documents: { id: string; text: string; speaker?: string }[];
  queries: { text: string; relevant: string[] }[];
}

export interface Layout {
  readonly name: string;
  readonly corpora: Document[][];
}

const SPLIT = 5;
/** Shares of documents in corpora of unequal size. */
const SHARES = [0.6, 0.2, 0.1, 0.05, 0.05];
const ROUNDS = 25;

/** @param most queries of a set, spread evenly; the rest are left out */
export async function readSets(folder: string, most: number): Promise<JudgedSet[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".json")).sort();
  return Promise.all(
    files.map(async (file) => {
      const data = (await Bun.file(join(folder, file)).json()) as Part & { conversations?: Part[] };
      const name = basename(file, ".json");
      const id = (part: number, own: string) => `${name}/${part}/${own}`;
      const parts = data.conversations ?? [data];
      const queries = parts.flatMap((part, at) =>
        part.queries
          .filter(({ relevant }) => relevant.length > 0)
          .map(({ text, relevant }) => ({ text, relevant: new Set(relevant.map((own) => id(at, own))) })),
      );
      const step = Math.max(1, queries.length / most);
      return {
        name,
        parts: parts.map(({ documents }, at) =>
          documents
            .filter(({ text }) => text.trim() !== "")
            .map((it) => ({
              id: id(at, it.id),
              text: it.speaker ? `${it.speaker}: ${it.text}` : it.text,
            })),
        ),
        queries: queries.filter((_, at) => Math.floor(at / step) !== Math.floor((at - 1) / step)),
      };
    }),
  );
}

/** @param embed vectors of unit length */
export async function layoutsOf(
  set: JudgedSet,
  embed: (texts: string[]) => Promise<Float32Array[]>,
): Promise<Layout[]> {
  if (set.parts.length > 1) return [{ name: "its conversations", corpora: set.parts }];
  const documents = set.parts.flat();
  const random = seeded(1);
  const parts = (place: (at: number) => number) => {
    const corpora: Document[][] = Array.from({ length: SPLIT }, () => []);
    for (const [at, document] of documents.entries()) corpora[place(at)]?.push(document);
    return corpora;
  };
  const topics = clusters(await embed(documents.map(({ text }) => text)), random);
  return [
    { name: "by chance", corpora: parts(() => Math.floor(random() * SPLIT)) },
    { name: "by size", corpora: parts(() => drawn(random())) },
    { name: "by topic", corpora: parts((at) => topics[at] ?? 0) },
    { name: "whole", corpora: [documents] },
  ];
}

function drawn(value: number): number {
  let sum = 0;
  return SHARES.findIndex((share) => {
    sum += share;
    return value < sum;
  });
}

/** Spherical k-means. @returns the cluster of each vector */
function clusters(vectors: readonly Float32Array[], random: () => number): number[] {
  let centres = Array.from({ length: SPLIT }, () => vectors[Math.floor(random() * vectors.length)]);
  let placed: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    placed = vectors.map((vector) => {
      const near = centres.map((centre) => dot(vector, centre));
      return near.indexOf(Math.max(...near));
    });
    centres = centres.map((old, at) => centreOf(vectors.filter((_, of) => placed[of] === at)) ?? old);
  }
  return placed;
}

function centreOf(vectors: readonly Float32Array[]): Float32Array | undefined {
  const [first] = vectors;
  if (first === undefined) return undefined;
  const sum = new Float32Array(first.length);
  for (const vector of vectors) for (const [at, value] of vector.entries()) sum[at] = (sum[at] ?? 0) + value;
  const length = Math.hypot(...sum);
  return sum.map((value) => value / length);
}

function dot(a: Float32Array, b: Float32Array | undefined): number {
  return b === undefined ? -1 : a.reduce((sum, value, at) => sum + value * (b[at] ?? 0), 0);
}
