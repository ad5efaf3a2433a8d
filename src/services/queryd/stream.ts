/** A worker's output as a stream of bytes that ends cleanly only when the query did. */
import { closeSync } from "node:fs";
import { openFifo } from "./process.ts";

/** Where a stream tells how it ended; called once, and not at all where `streamFifo` throws. */
export type OnEnd = (ended: "whole" | "failed" | "cancelled") => void;

/**
 * Starts a query that writes to the FIFO and waits for its first bytes, so that a failure before them is
 * thrown instead of streamed.
 * @param start asks the worker; settles when everything has been written, rejects when it failed
 */
export async function streamFifo(
  path: string,
  start: () => Promise<unknown>,
  onEnd: OnEnd,
): Promise<ReadableStream<Uint8Array>> {
  const { reader: fd, keeper } = openFifo(path);
  const reader = Bun.file(fd).stream().getReader();
  // Without the keeper the reader would see an end before the worker has opened its side; once the
  // worker has told its outcome, or is dead, closing it lets the end through.
  let failure: { error: unknown } | undefined;
  const outcome = start()
    .catch((error: unknown) => {
      failure = { error };
    })
    .finally(() => closeSync(keeper));
  // A read may be under way while the stream is cancelled: whichever comes first ends it, once.
  let ended = false;
  const end = (how: "whole" | "failed" | "cancelled"): boolean => {
    if (ended) return false;
    ended = true;
    onEnd(how);
    return true;
  };
  const first = await reader.read();
  if (first.done) {
    await outcome;
    closeSync(fd);
    if (failure) throw failure.error;
    onEnd("whole");
    return new Response(new Uint8Array()).body as ReadableStream<Uint8Array>;
  }
  let next: Uint8Array | undefined = first.value;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (next) {
          controller.enqueue(next);
          next = undefined;
          return;
        }
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        await outcome;
        if (!end(failure ? "failed" : "whole")) return;
        closeSync(fd);
        if (failure) controller.error(failure.error);
        else controller.close();
      },
      async cancel() {
        if (!end("cancelled")) return;
        await outcome;
        await reader.cancel();
        closeSync(fd);
      },
    },
    { highWaterMark: 0 },
  );
}
