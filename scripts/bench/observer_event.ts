/**
 * POST /v1/observer/event through the single runtime, witness on, every event synced before its answer, against a
 * bare Elysia route with the same schema that keeps nothing, and against nginx before that route in another process.
 */
import { has, type Running, startBun, startNginx } from "./load.ts";
import { median, printRows, type Row } from "./row.ts";
import { requestsPerSecond } from "./wrk.ts";

const ROUNDS = 5;
const SECONDS = 4;
const PATH = "/v1/observer/event";
const EVENT = JSON.stringify({
  endpoint: "/v1/sql",
  source: "scenario",
  success: true,
  duration_ms: 12.5,
  input_summary: "select count(*) from cars where origin = 'USA'",
  output_summary: "1 row",
  staffer_id: "s-12",
  event_kind: "query",
  role: "analyst",
});

export async function run(rounds = ROUNDS, seconds = SECONDS): Promise<Row[]> {
  for (const program of ["wrk", "nginx"])
    if (!has(program)) throw new Error(`this benchmark needs ${program}; install it and run again`);
  const main = ["src/main.ts"];
  const bind = (service: string) => ({ [`LAKEHOUSE_${service}_BIND`]: "127.0.0.1:0" });
  const bare = await startBun(["scripts/bench/bare_event_server.ts"]);
  const ours = await startBun([...main, "all"], bind("GATEWAY"));
  const behind = await startNginx(ours.url);
  try {
    const all = { bare: [] as number[], ours: [] as number[], behind: [] as number[] };
    const measure = async (name: keyof typeof all, { url }: Running, is_kept = true) => {
      const requests_per_s = await requestsPerSecond(url + PATH, EVENT, { seconds });
      if (is_kept) all[name].push(requests_per_s);
    };
    // The first round warms the compilers up; the order within a round lets no one always go first.
    for (let round = -1; round < rounds; round++) {
      await measure("bare", bare, round >= 0);
      await measure("ours", ours, round >= 0);
      await measure("behind", behind, round >= 0);
    }
    const [bare_rate, ours_rate, behind_rate] = [median(all.bare), median(all.ours), median(all.behind)];
    const rates = (values: number[]) => values.map((value) => Math.round(value / 100) / 10).join(", ");
    const detail = `thousand requests a second: bare ${rates(all.bare)}; ours ${rates(all.ours)}; nginx before ours ${rates(all.behind)}`;
    return [
      {
        what: `durable events at 64 connections, against a bare route that keeps nothing`,
        target: "≥ 0.7 ×",
        measured: `${(ours_rate / bare_rate).toFixed(2)} ×`,
        met: ours_rate >= 0.7 * bare_rate,
        detail,
      },
      {
        what: "durable events, against nginx in front of the same route in another process",
        target: "≥ 1.5 ×",
        measured: `${(ours_rate / behind_rate).toFixed(2)} ×`,
        met: ours_rate >= 1.5 * behind_rate,
      },
    ];
  } finally {
    for (const running of [behind, ours, bare]) await running.stop();
  }
}

if (import.meta.main)
  printRows(await run(Number(process.argv[2] ?? ROUNDS), Number(process.argv[3] ?? SECONDS)));
