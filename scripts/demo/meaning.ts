/** The demo's act on meaning: films in a vector index, a memory, and both asked at once. */
import type { Lake } from "./lake.ts";
import { heading, say, table } from "./terminal.ts";

const INDEX = "demo-films";
const SCOPE = { user_id: "demo" };

const TITLES = `
SELECT min("Title") AS title, any_value("Major Genre") AS genre, any_value("Director") AS director
FROM demo.movies WHERE "Title" IS NOT NULL GROUP BY lower("Title") ORDER BY 1`;

interface Hit {
  id: string;
  score: number;
  metadata?: { genre: string | null };
}
interface Remembered {
  score: number;
  trace: { content: string };
}
interface Merged {
  corpus: string;
  score: number;
  text: string | null;
}

/** Safe to run again: the index is filled anew, and what is remembered already is not stored twice. */
export async function meaning(lake: Lake): Promise<void> {
  heading("5. Search by meaning, remember, and ask everything at once");
  await fillIndex(lake);
  await search(lake, "dinosaurs");
  await remember(lake);
  await retrieve(lake, "which films about the ocean does Ada love?");
}

async function fillIndex(lake: Lake): Promise<void> {
  const { indexes } = await lake.get<{ indexes: { name: string }[] }>("/v1/vectors/index?limit=1000");
  if (!indexes.some(({ name }) => name === INDEX))
    await lake.post("/v1/vectors/index", { name: INDEX, indexed: ["genre"] });
  const { rows } = await lake.sql(TITLES.trim());
  const items = rows.map(([title, genre, director]) => ({
    id: String(title),
    text: [title, genre, director].filter((it) => it !== null).join(", "),
    metadata: { genre },
  }));
  const started_ms = performance.now();
  await lake.post(`/v1/vectors/index/${INDEX}/add`, { items });
  const elapsed_s = (performance.now() - started_ms) / 1000;
  say(`  ${items.length} films became vectors by the built-in model in ${elapsed_s.toFixed(1)} s`);
}

async function search(lake: Lake, text: string): Promise<void> {
  const { results } = await lake.post<{ results: Hit[] }>(`/v1/vectors/index/${INDEX}/search`, {
    text,
    k: 4,
    hybrid: {},
  });
  say(`\n  Films nearest to “${text}”`);
  table(
    ["film", "genre", "score"],
    results.map(({ id, score, metadata }) => [id, metadata?.genre ?? null, rounded(score)]),
  );
}

async function remember(lake: Lake): Promise<void> {
  for (const content of ["Ada loves films about the sea", "Ada is allergic to nuts"])
    await lake.post("/v1/pathway/add_idempotent", { content, scope: SCOPE, subject: "ada" });
  const query = "what should I not cook for her?";
  const { results } = await lake.post<{ results: Remembered[] }>("/v1/pathway/search", {
    query,
    scope: SCOPE,
    k: 1,
  });
  say(`\n  What memory says to “${query}”`);
  table(
    ["trace", "score"],
    results.map(({ trace, score }) => [trace.content, rounded(score)]),
  );
}

async function retrieve(lake: Lake, query: string): Promise<void> {
  await lake.post("/v1/matrix/corpora", { name: "demo-films", kind: "index", index: INDEX });
  await lake.post("/v1/matrix/corpora", { name: "demo-memory", kind: "pathway", pathway: { scope: SCOPE } });
  const { results } = await lake.post<{ results: Merged[] }>("/v1/matrix/search", {
    query,
    corpora: ["demo-films", "demo-memory"],
    k: 4,
    budget_tokens: 200,
  });
  say(`\n  Films and memory asked at once, within 200 tokens: “${query}”`);
  table(
    ["corpus", "text", "score"],
    results.map(({ corpus, text, score }) => [corpus, text, rounded(score)]),
  );
}

function rounded(score: number): number {
  return Math.round(score * 100) / 100;
}
