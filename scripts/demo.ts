/**
 * A tour on real data, all through HTTP: files in, SQL out, back in time, and who did what.
 * Leaves the lake behind, to be explored: in --data-dir, else LAKEHOUSE_DATA_DIR, else ./data.
 * `npm run demo -- [--data-dir DIR | --url URL] [--key KEY]`
 */
import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Lake, startRuntime } from "./demo/lake.ts";
import { meaning } from "./demo/meaning.ts";
import { bold, count, dim, heading, megabytes, say, table } from "./demo/terminal.ts";

const NEWLINE = 10;
const HELP = "npm run demo -- [--data-dir DIR | --url URL] [--key KEY]";
const STANDARD_DIR = "./data";

const BUSIEST = `
SELECT o.city || ' → ' || d.city AS route, count(*) AS flights,
       round(avg(f.delay), 1) AS mean_delay_min, round(100 * avg((f.delay > 60)::INT), 1) AS over_an_hour_pct
FROM demo.flights f
JOIN demo.airports o ON o.iata = f.origin
JOIN demo.airports d ON d.iata = f.destination
GROUP BY ALL ORDER BY flights DESC LIMIT 6`;

const WORST_DAYS = `
WITH daily AS (SELECT date::DATE AS day, avg(delay) AS delay FROM demo.flights GROUP BY 1),
     rolling AS (SELECT day, delay, avg(delay) OVER (ORDER BY day ROWS 6 PRECEDING) AS week FROM daily)
SELECT day::VARCHAR AS day, round(delay, 1) AS delay_min, round(week, 1) AS week_before_min,
       rank() OVER (ORDER BY delay - week DESC) AS rank
FROM rolling ORDER BY rank LIMIT 5`;

const ZIP_CODES = `
SELECT zip_code, city, state FROM demo.zipcodes WHERE zip_code LIKE '010%' ORDER BY zip_code LIMIT 3`;

const FILMS = `
SELECT "Director" AS director, count(*) AS films, round(avg("IMDB Rating"), 2) AS rating,
       round(sum("Worldwide Gross") / 1e6) AS gross_million
FROM demo.movies WHERE "Director" IS NOT NULL
GROUP BY ALL HAVING count(*) >= 8 ORDER BY rating DESC LIMIT 5`;

const WET_DAYS = `
SELECT year(date) AS year, count(*) AS days, count(*) FILTER (weather = 'rain') AS rainy,
       round(max(temp_max), 1) AS warmest_c
FROM demo.weather GROUP BY 1 ORDER BY 1`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: "string" },
      key: { type: "string" },
      "data-dir": { type: "string", default: process.env.LAKEHOUSE_DATA_DIR || STANDARD_DIR },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return say(HELP);
  const data_dir = resolve(values["data-dir"]);
  const own = values.url ? undefined : await startRuntime(data_dir);
  const lake = new Lake((values.url ?? own?.url ?? "").replace(/\/$/, ""), values.key);
  try {
    say(`${bold("Lakehouse")} at ${lake.url}${own ? ` on ${shown(data_dir)}` : ""}`);
    await ingestAll(lake);
    await ask(lake);
    await travel(lake);
    await stream(lake);
    await meaning(lake);
    await witness(lake);
  } finally {
    await own?.stop();
  }
  farewell(own ? data_dir : undefined, lake);
}

async function ingestAll(lake: Lake): Promise<void> {
  heading("1. Files go in: CSV, JSON and Parquet, each becomes an Iceberg table");
  await lake.ingest("flights-3m.parquet", "demo.flights");
  await lake.ingest("airports.csv", "demo.airports");
  await lake.ingest("zipcodes.csv", "demo.zipcodes");
  await lake.ingest("movies.json", "demo.movies");
  await lake.ingest("unemployment.tsv", "demo.unemployment");
  await lake.ingest("penguins.json", "demo.penguins");
}

async function ask(lake: Lake): Promise<void> {
  heading("2. SQL comes out");
  await show(lake, "The busiest routes: a join over three million flights", BUSIEST);
  await show(lake, "The days that stood out against their week: windows over windows", WORST_DAYS);
  await show(lake, "A leading zero is part of a zip code, and stays", ZIP_CODES);
  await show(lake, "Untidy JSON with spaces in its names is a table too", FILMS);
}

async function show(lake: Lake, title: string, sql: string, more: { as_of?: string } = {}): Promise<void> {
  const { columns, rows, elapsed_ms } = await lake.sql(sql.trim(), more);
  say(`\n  ${title} ${dim(`(${Math.round(elapsed_ms)} ms)`)}`);
  table(
    columns.map(({ name }) => name),
    rows,
  );
}

/** The keys make a second run of the demo find what the first one appended, instead of appending it again. */
async function travel(lake: Lake): Promise<void> {
  heading("3. A table grows, and stays what it was");
  const before = await lake.ingest(
    "seattle-weather.csv",
    "demo.weather",
    { mode: "append" },
    "demo-weather-1",
  );
  const evolve = { mode: "append", evolve: "true" };
  const after = await lake.ingest("weather.csv", "demo.weather", evolve, "demo-weather-2");
  say(`\n  Two snapshots: ${before}, then ${after} with a column more (location).`);
  await show(lake, "The table now", WET_DAYS);
  await show(lake, `The same question as of snapshot ${before}`, WET_DAYS, { as_of: before });
}

async function stream(lake: Lake): Promise<void> {
  heading("4. Large results stream, and are never held in memory");
  const started_ms = performance.now();
  const response = await lake.request("/v1/sql", {
    method: "POST",
    body: JSON.stringify({ sql: "SELECT * FROM demo.flights" }),
    headers: { "content-type": "application/json", accept: "application/x-ndjson" },
  });
  let bytes = 0;
  let lines = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) lines += 1;
  }
  const elapsed_s = (performance.now() - started_ms) / 1000;
  say(`  ${count(lines)} rows as NDJSON, ${megabytes(bytes)} in ${elapsed_s.toFixed(1)} s`);
}

async function witness(lake: Lake): Promise<void> {
  heading("6. Every operation is witnessed");
  const event = { source: "scenario", event_kind: "demo", staffer_id: "you", role: "visitor" };
  await lake.post("/v1/observer/event", { ...event, endpoint: "demo/tour", success: true });
  const stats = await lake.get<{ total: number; successes: number; failures: number }>("/v1/observer/stats");
  say(
    `  observer: ${stats.total} reported by clients, ${stats.successes} succeeded, ${stats.failures} failed`,
  );
  const seen = await lake.get<{ ops: { endpoint: string; success: boolean; duration_ms?: number }[] }>(
    "/v1/observer/ops?source=gateway&limit=5",
  );
  say("  the newest that the gateway saw by itself:");
  table(
    ["endpoint", "ok", "ms"],
    seen.ops.map(({ endpoint, success, duration_ms }) => [
      endpoint,
      success ? "yes" : "no",
      duration_ms === undefined ? null : Math.round(duration_ms * 10) / 10,
    ]),
  );
}

function farewell(data_dir: string | undefined, { url, key }: Lake): void {
  heading("Go on exploring");
  const standard = data_dir === undefined || data_dir === resolve(STANDARD_DIR);
  const start = standard ? "npm start" : `LAKEHOUSE_DATA_DIR=${shown(data_dir)} npm start`;
  const address = data_dir === undefined ? url : "http://127.0.0.1:3210";
  if (data_dir !== undefined) say(`  ${start}\n`);
  say(`  ${address}/swagger   every route, to be tried in the browser`);
  say(`  curl ${address}/v1/sql -H 'content-type: application/json' \\`);
  if (key) say(`    -H 'authorization: Bearer ${key}' \\`);
  say(`    -d '{"sql":"SELECT \\"Species\\", count(*) FROM demo.penguins GROUP BY ALL"}'`);
  if (data_dir !== undefined && existsSync(data_dir))
    say(
      `\n  The lake lies in ${shown(data_dir)}; the tables are Parquet and Iceberg, for other engines too.`,
    );
}

function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near === "" || near.startsWith("..") ? path : `./${near}`;
}

try {
  await main();
} catch (error) {
  console.error(`\n${(error as Error).message}`);
  process.exit(1);
}
