/** Public retrieval sets as they lie in a folder, and how well a ranking does on one. */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";

/** What the built-in model, and the teacher, are asked to reach; on other sets they have to do better than BM25. */
export const TARGETS: Record<string, { built_in: number; teacher: number }> = {
  locomo_dev: { built_in: 0.63, teacher: 0.7 },
  cranfield: { built_in: 0.39, teacher: 0.39 },
};

export type Metric = "recall@10" | "nDCG@10";

export interface Document {
  id: string;
  text: string;
  speaker?: string;
  session?: string;
  /** When the session was, as people write it: "1:56 pm on 8 May, 2023". */
  at?: string;
}

/** Documents of which each query is asked: a set is one of these, or several conversations. */
export interface Part {
  documents: Document[];
  queries: { text: string; relevant: string[] }[];
}

export interface SetFile {
  name: string;
  path: string;
  metric: Metric;
  parts: Part[];
}

/** The sets of a folder, by name. */
export async function readSets(folder: string): Promise<SetFile[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".json")).sort();
  return Promise.all(
    files.map(async (file) => {
      const path = join(folder, file);
      const data = (await Bun.file(path).json()) as Part & { conversations?: Part[] };
      const metric = data.conversations ? ("recall@10" as const) : ("nDCG@10" as const);
      return { name: basename(file, ".json"), path, metric, parts: data.conversations ?? [data] };
    }),
  );
}

/** A document as it is indexed: with who said it, where somebody did. */
export const textOf = ({ speaker, text }: Document) => (speaker ? `${speaker}: ${text}` : text);

/** @param found whether each of the first ten is relevant @param relevant how many documents are */
export function qualityOf(metric: Metric, found: readonly boolean[], relevant: number): number {
  if (metric === "recall@10") return found.filter(Boolean).length / relevant;
  const gain = (place: number) => 1 / Math.log2(place + 2);
  const ideal = Array.from({ length: Math.min(10, relevant) }, (_, place) => gain(place));
  const got = found.reduce((total, hit, place) => total + (hit ? gain(place) : 0), 0);
  return got / ideal.reduce((total, value) => total + value, 0);
}
