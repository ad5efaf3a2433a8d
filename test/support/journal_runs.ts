/** Runs of the writer that is to be killed, and what must hold of the journal it leaves. */
import { expect } from "bun:test";
import { join } from "node:path";
import type { JournalReport } from "../../src/shared/journal.ts";
import { type Note, openAt } from "./journal.ts";
import type { WriterOptions } from "./journal_writer.ts";

const WRITER = join(import.meta.dir, "journal_writer.ts");

export interface Run {
  /** What was acknowledged, in order. */
  readonly acked: number[];
  readonly refused: { note: number; code: string; acked_before: number }[];
  readonly was_killed: boolean;
  readonly was_closed: boolean;
  /** What the writer, and what it ran under, had to say. */
  readonly stderr: string;
}

/** Runs the writer to its end, however it comes. @param under a command to run it under, such as strace */
export async function runWriter(
  options: WriterOptions,
  under: string[] = [],
  watch: (line: string, kill: () => void) => void = () => {},
): Promise<Run> {
  const child = Bun.spawn([...under, process.execPath, WRITER, JSON.stringify(options)], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const run = { acked: [] as number[], refused: [] as Run["refused"], was_closed: false };
  // Under strace the writer is not the child: it tells its own process id.
  let pid = under.length > 0 ? undefined : child.pid;
  const kill = () => {
    try {
      if (pid !== undefined) process.kill(pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  };
  const stderr = new Response(child.stderr).text();
  watch("spawned", kill);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk, { stream: true });
    const lines = text.split("\n");
    text = lines.pop() as string;
    for (const line of lines) {
      const [word, value, code] = line.split(" ");
      if (word === "open") pid = Number(value);
      if (word === "ack") run.acked.push(Number(value));
      if (word === "refused")
        run.refused.push({ note: Number(value), code: code as string, acked_before: run.acked.length });
      if (word === "closed") run.was_closed = true;
      watch(line, kill);
    }
  }
  await child.exited;
  const was_killed = child.signalCode === "SIGKILL" || child.exitCode === 137;
  return { ...run, was_killed, stderr: await stderr };
}

/** A journal through many runs: what is acknowledged stays, once, in the order it was sent. */
export class Survivor {
  readonly directory: string;
  #acked = 0;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** What a client sends next: the first that it has no acknowledgement of, which may be a repeat. */
  get first(): number {
    return this.#acked;
  }

  /** Takes a run into account. Acknowledgements come in the order of the appends, without a gap. */
  take(run: Run): void {
    for (const note of run.acked) expect(note).toBe(this.#acked++);
  }

  async check(): Promise<JournalReport> {
    const { journal, applied } = await openAt(this.directory, { dedupe_records: 100_000 });
    const report = journal.report();
    await journal.close();
    checkNotes(applied, this.#acked);
    expect(report).toMatchObject({ corrupt: 0, gaps: 0 });
    return report;
  }
}

/** Nothing acknowledged is missing, nothing is twice, nothing is out of order, nothing is made up. */
export function checkNotes(applied: { record: Note }[], acked: number): void {
  const wrong = applied.findIndex(({ record }, index) => record.note !== index);
  if (wrong !== -1) expect().fail(`at ${wrong} stands ${JSON.stringify(applied[wrong]?.record)}`);
  if (applied.length < acked) expect().fail(`${acked} were acknowledged, ${applied.length} are there`);
}
