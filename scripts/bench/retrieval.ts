/**
 * How well the built-in model finds: BM25 alone, vectors alone and both fused, on public retrieval sets, as a
 * running lake serves them, and as weights of the fusion are chosen, beside the model it was distilled from. `bun scripts/bench/retrieval.ts --sets FOLDER`; the sets lie in FOLDER
 * as JSON, {documents: [{id, text}], queries: [{text, relevant: [id]}]}, or several of these as
 * `conversations`, whose documents have a speaker. scripts/distill/retrieval_sets.py makes two sets from
 * packages and writes the teacher's vectors beside each set; without those its rows are left out.
 */

import { Database } from "bun:sqlite";
import { StaticModel } from "../../src/services/embedd/static_model.ts";
import { option } from "./encoder.ts";
import { ranking, reciprocalRanks, type Scores, type Weights, weightedSum } from "./fusion.ts";
import { servedRows } from "./retrieval_served.ts";
import {
  type Metric,
  type Part,
  qualityOf,
  readSets,
  type SetFile,
  TARGETS,
  textOf,
} from "./retrieval_sets.ts";
import { printRows, type Row } from "./row.ts";

const DEPTH = 100;
/** What the sets taken together chose; `chosen without it` shows that none of them decides. */
export const HYBRID: Weights = { bm25: 0.4, cosine: 0.6, soft: 0 };
export const HYBRID_SOFT: Weights = { bm25: 0.3, cosine: 0.7, soft: 1 };
/** Mean tokens of the candidates up to which soft matches are trusted wholly. */
const SHORT_TEXT_TOKENS = 48;

interface Judged {
  relevant: Set<number>;
  relevantCount: number;
  scores: Scores;
  teacher: Scores | null;
}

interface RetrievalSet {
  name: string;
  metric: Metric;
  documents: number;
  queries: Judged[];
}

function bm25Scores(texts: readonly string[], queries: readonly string[]): Float32Array[] {
  const db = new Database(":memory:");
  db.run("CREATE VIRTUAL TABLE texts USING fts5(text, tokenize = 'porter unicode61')");
  const insert = db.prepare("INSERT INTO texts (rowid, text) VALUES (?, ?)");
  db.transaction(() => {
    texts.forEach((text, i) => {
      insert.run(i + 1, text);
    });
  })();
  const search = db.prepare<{ rowid: number; score: number }, [string]>(
    "SELECT rowid, bm25(texts) AS score FROM texts WHERE texts MATCH ?",
  );
  const all = queries.map((query) => {
    const scores = new Float32Array(texts.length);
    const words = new Set(query.toLowerCase().match(/[\p{L}\p{N}_]+/gu));
    if (words.size > 0) {
      const either = [...words].map((word) => `"${word}"`).join(" OR ");
      for (const { rowid, score } of search.all(either)) scores[rowid - 1] = -score;
    }
    return scores;
  });
  db.close();
  return all;
}

function cosines(documents: Float32Array, query: Float32Array): Float32Array {
  const dimension = query.length;
  const out = new Float32Array(documents.length / dimension);
  for (let i = 0; i < out.length; i++) {
    let dot = 0;
    for (let d = 0; d < dimension; d++)
      dot += (documents[i * dimension + d] as number) * (query[d] as number);
    out[i] = dot;
  }
  return out;
}

function candidates(bm25: Float32Array, cosine: Float32Array): number[] {
  const all = [...bm25.keys()];
  const matching = all.filter((d) => (bm25[d] as number) > 0);
  return [...new Set([...ranking(bm25, matching).slice(0, DEPTH), ...ranking(cosine, all).slice(0, DEPTH)])];
}

/** @param teacher the teacher's vectors of this part's documents, then queries; null when there are none */
function judge(part: Part, model: StaticModel, teacher: Float32Array | null): Judged[] {
  const texts = part.documents.map(textOf);
  const positions = new Map(part.documents.map(({ id }, i) => [id, i]));
  const words = bm25Scores(
    texts,
    part.queries.map(({ text }) => text),
  );
  const vectors = model.embed(texts);
  const teacherWidth = teacher === null ? 0 : teacher.length / (texts.length + part.queries.length);
  return part.queries.flatMap(({ text, relevant }, i) => {
    if (relevant.length === 0) return [];
    const bm25 = words[i] as Float32Array;
    const complete = (cosine: Float32Array): Scores => {
      const chosen = candidates(bm25, cosine);
      const soft = new Float32Array(texts.length);
      const { scores: matches, mean_tokens } = model.softMatch(
        text,
        chosen.map((d) => texts[d] as string),
      );
      chosen.forEach((d, c) => {
        soft[d] = matches[c] as number;
      });
      const softTrust = Math.min(1, SHORT_TEXT_TOKENS / Math.max(1, mean_tokens));
      return { bm25, cosine, soft, softTrust, candidates: chosen };
    };
    let taught: Scores | null = null;
    if (teacher !== null) {
      const start = (texts.length + i) * teacherWidth;
      const query = teacher.subarray(start, start + teacherWidth);
      taught = complete(cosines(teacher.subarray(0, texts.length * teacherWidth), query));
    }
    return {
      relevant: new Set(relevant.map((id) => positions.get(id) ?? -1)),
      relevantCount: relevant.length,
      scores: complete(cosines(vectors, model.embed([text]))),
      teacher: taught,
    };
  });
}

async function judgeSet({ name, path, metric, parts }: SetFile, model: StaticModel): Promise<RetrievalSet> {
  const teacherFile = Bun.file(path.replace(/\.json$/, ".teacher.f32"));
  const taught = (await teacherFile.exists()) ? new Float32Array(await teacherFile.arrayBuffer()) : null;
  const texts = parts.reduce((sum, part) => sum + part.documents.length + part.queries.length, 0);
  const width = taught === null ? 0 : taught.length / texts;
  let at = 0;
  const queries = parts.flatMap((part) => {
    const end = at + width * (part.documents.length + part.queries.length);
    const own = taught?.subarray(at, end) ?? null;
    at = end;
    return judge(part, model, own);
  });
  const documents = parts.reduce((sum, part) => sum + part.documents.length, 0);
  return { name, metric, documents, queries };
}

function quality(set: RetrievalSet, rank: (query: Judged) => number[]): number {
  let sum = 0;
  for (const query of set.queries) {
    const found = rank(query)
      .slice(0, 10)
      .map((d) => query.relevant.has(d));
    sum += qualityOf(set.metric, found, query.relevantCount);
  }
  return sum / set.queries.length;
}

const words = (scores: Scores) =>
  ranking(
    scores.bm25,
    scores.candidates.filter((d) => (scores.bm25[d] as number) > 0),
  );
const vectors = (scores: Scores) => ranking(scores.cosine, scores.candidates);

/** For each set, the weights that do best on all the others together, as a ratio to BM25. */
function crossValidated(
  sets: readonly RetrievalSet[],
  softs: readonly number[],
): Map<string, [Weights, number]> {
  const grid: Weights[] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6].flatMap((bm25) =>
    softs.map((soft) => ({ bm25, cosine: Math.round(10 - 10 * bm25) / 10, soft })),
  );
  const table = sets.map((set) => {
    const baseline = quality(set, ({ scores }) => words(scores));
    return grid.map((weights) => quality(set, ({ scores }) => weightedSum(scores, weights)) / baseline);
  });
  return new Map(
    sets.map((set, held) => {
      const totals = grid.map((_, g) =>
        table.reduce((sum, row, s) => (s === held ? sum : sum + (row[g] as number)), 0),
      );
      const best = grid[totals.indexOf(Math.max(...totals))] as Weights;
      return [set.name, [best, quality(set, ({ scores }) => weightedSum(scores, best))]];
    }),
  );
}

const show = (value: number) => value.toFixed(3);
const name = ({ bm25, cosine, soft }: Weights) => `${bm25}/${cosine}/${soft}`;

/** No rows, and a word about it, when no folder of sets is given: they are not part of the project. */
export async function run(folder: string | undefined = option("--sets")): Promise<Row[]> {
  if (folder === undefined) {
    console.error("retrieval: not measured; name a folder of retrieval sets with --sets FOLDER");
    return [];
  }
  const model = await StaticModel.load({ max_tokens: 512 });
  const files = await readSets(folder);
  const served = await servedRows(files);
  const sets = await Promise.all(files.map((file) => judgeSet(file, model)));
  const plain = crossValidated(sets, [0]);
  const soft = crossValidated(sets, [0.25, 0.5, 0.75, 1, 1.25, 1.5]);
  const fused = sets.flatMap((set) => {
    const bm25 = quality(set, ({ scores }) => words(scores));
    const line = (label: string, value: number, target: number, detail: string): Row => ({
      what: `${set.name} ${set.metric}, ${label}`,
      target: `≥ ${show(target)}`,
      measured: show(value),
      met: value >= target,
      detail,
    });
    const by = (rank: (scores: Scores) => number[]) => show(quality(set, ({ scores }) => rank(scores)));
    const [plainWeights, plainHeld] = plain.get(set.name) as [Weights, number];
    const [softWeights, softHeld] = soft.get(set.name) as [Weights, number];
    const target = TARGETS[set.name] ?? { built_in: bm25, teacher: bm25 };
    const rows = [
      line(
        `BM25 and built-in vectors ${name(HYBRID)}`,
        quality(set, ({ scores }) => weightedSum(scores, HYBRID)),
        target.built_in,
        `${set.documents} documents, ${set.queries.length} queries; BM25 ${show(bm25)}, vectors ${by(vectors)}, ` +
          `RRF ${by((s) => reciprocalRanks(s, 1))}, RRF with BM25 twice ${by((s) => reciprocalRanks(s, 2))}; ` +
          `weights chosen without this set ${name(plainWeights)}: ${show(plainHeld)}`,
      ),
      line(
        `with soft matches ${name(HYBRID_SOFT)}`,
        quality(set, ({ scores }) => weightedSum(scores, HYBRID_SOFT)),
        target.built_in,
        `weights chosen without this set ${name(softWeights)}: ${show(softHeld)}`,
      ),
    ];
    if (set.queries.every(({ teacher }) => teacher !== null)) {
      const taught = (rank: (scores: Scores) => number[]) =>
        quality(set, ({ teacher }) => rank(teacher as Scores));
      rows.push(
        line(
          `teacher with soft matches ${name(HYBRID_SOFT)}`,
          taught((s) => weightedSum(s, HYBRID_SOFT)),
          target.teacher,
          `vectors ${show(taught(vectors))}, RRF ${show(taught((s) => reciprocalRanks(s, 1)))}, ` +
            `${name(HYBRID)}: ${show(taught((s) => weightedSum(s, HYBRID)))}`,
        ),
      );
    }
    return rows;
  });
  return [...served, ...fused];
}

if (import.meta.main) printRows(await run());
