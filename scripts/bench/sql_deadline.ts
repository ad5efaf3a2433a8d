/** How long after its deadline a hostile query is answered: time and memory bombs, honest queries beside them. */
import { bombs } from "../../test/acceptance/hostile/statements.ts";
import { printRows, type Row } from "./row.ts";
import { startSqlLake } from "./sql_lake.ts";

const ROUNDS = 4;
const TIMEOUT_MS = 300;
const TARGET_MS = 250;

export async function run(): Promise<Row[]> {
  const lake = await startSqlLake();
  try {
    let done = false;
    let honest = 0;
    const beside = (async () => {
      for (; !done; honest++) {
        const response = await lake.ask({ sql: "SELECT count(*) FROM items WHERE id < 1000" });
        const { rows } = (await response.json()) as { rows?: unknown[][] };
        if (rows?.[0]?.[0] !== 1000) throw new Error(`an honest query was disturbed: ${response.status}`);
        await Bun.sleep(10);
      }
    })();
    const overshoots: number[] = [];
    for (let round = 0; round < ROUNDS; round++)
      for (const bomb of bombs) {
        const sql = bomb.replaceAll("trips", "items");
        const from_ms = performance.now();
        const response = await lake.ask({ sql, timeout_ms: TIMEOUT_MS });
        await response.text();
        if (response.status === 200) throw new Error(`not ended: ${sql}`);
        overshoots.push(Math.max(0, performance.now() - from_ms - TIMEOUT_MS));
      }
    done = true;
    await beside;
    overshoots.sort((a, b) => a - b);
    const p99_ms = overshoots[Math.ceil(overshoots.length * 0.99) - 1] as number;
    return [
      {
        what: `overshoot of the deadline, p99 of ${overshoots.length} time and memory bombs of ${TIMEOUT_MS} ms`,
        target: `at most ${TARGET_MS} ms`,
        measured: `${p99_ms.toFixed(0)} ms`,
        met: p99_ms <= TARGET_MS,
        detail: `median ${overshoots[overshoots.length >> 1]?.toFixed(1)} ms, worst ${overshoots.at(-1)?.toFixed(0)} ms; ${honest} honest queries beside them, all answered`,
      },
    ];
  } finally {
    await lake.stop();
  }
}

if (import.meta.main) printRows(await run());
