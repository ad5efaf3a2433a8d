/** A job's progress as server-sent events, and those events read again by a neighbour. */
import type { HttpClient } from "./client.ts";
import { LakeError } from "./errors.ts";
import type { JobState } from "./jobs.ts";

/** A comment is sent so often, so that nothing on the way takes a quiet stream for a dead one. */
const HEARTBEAT_MS = 15_000;

/**
 * Answers a request with the states of a job.
 * @param watch its signal is aborted once nobody reads any more
 */
export function jobEvents(
  request: Request,
  watch: (signal: AbortSignal) => AsyncIterable<JobState>,
): Response {
  const gone = new AbortController();
  request.signal.addEventListener("abort", () => gone.abort(), { once: true });
  const jobs = watch(gone.signal);
  return new Response(
    eventStream(jobs, () => gone.abort()),
    {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    },
  );
}

/** Server-sent events: `progress` with the job as it is, then `done` or `failed`. */
function eventStream(jobs: AsyncIterable<JobState>, stop: () => void): ReadableStream<string> {
  const iterator = jobs[Symbol.asyncIterator]();
  let heartbeat: ReturnType<typeof setInterval> | undefined;
  const close = () => {
    clearInterval(heartbeat);
    stop();
  };
  return new ReadableStream<string>({
    start(controller) {
      heartbeat = setInterval(() => controller.enqueue(": still here\n\n"), HEARTBEAT_MS);
    },
    async pull(controller) {
      const { value: job, done } = await iterator.next();
      if (done) {
        close();
        controller.close();
        return;
      }
      const event = job.status === "done" || job.status === "failed" ? job.status : "progress";
      controller.enqueue(`event: ${event}\ndata: ${JSON.stringify(job)}\n\n`);
    },
    cancel: close,
  });
}

/**
 * The states of a job in another process, to its end.
 * @throws LakeError unreachable where they break off
 */
export async function* readJobEvents<Job extends JobState>(
  http: HttpClient,
  service: string,
  path: string,
  call: { signal: AbortSignal; timeout_ms: number },
): AsyncGenerator<Job> {
  const response = await http.call(path, call);
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    const events = (text + decoder.decode(chunk, { stream: true })).split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data !== undefined) yield JSON.parse(data) as Job;
    }
  }
  if (text !== "") throw new LakeError("unreachable", `${service}'s answer broke off.`);
}
