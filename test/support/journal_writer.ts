/**
 * A process to be killed: appends {id: "n<n>", note: n} from `first` on, `clients` at a time, and writes `ack <n>` to
 * standard output as each is acknowledged, or `refused <n> <code>`. Its argument is one JSON object.
 */
import { writeSync } from "node:fs";
import { LakeError } from "../../src/shared/errors.ts";
import { openAt } from "./journal.ts";

export interface WriterOptions {
  directory: string;
  first: number;
  /** Stops after so many; goes on for ever without it. */
  count?: number;
  clients: number;
  segment_bytes: number;
  /** Each client begins so many turns of the loop after the one before, so that syncs overlap. */
  stagger_turns?: number;
}

const {
  directory,
  first,
  count,
  clients,
  segment_bytes,
  stagger_turns = 0,
} = JSON.parse(process.argv[2] as string) as WriterOptions;
const tell = (line: string) => writeSync(1, `${line}\n`);
const { journal } = await openAt(directory, { segment_bytes, dedupe_records: 100_000 });
tell(`open ${process.pid}`);
let next = first;
const last = count === undefined ? Number.POSITIVE_INFINITY : first + count;

async function client(index: number): Promise<void> {
  for (let turn = 0; turn < index * stagger_turns; turn++) await new Promise(setImmediate);
  while (next < last) {
    const note = next++;
    try {
      await journal.append({ id: `n${note}`, note });
      tell(`ack ${note}`);
    } catch (error) {
      if (!(error instanceof LakeError)) throw error;
      tell(`refused ${note} ${error.code}`);
    }
  }
}

await Promise.all(Array.from({ length: clients }, (_, index) => client(index)));
await journal.close();
tell("closed");
