/** A file as a stream, for answers that were written to disk first. */
import { closeSync } from "node:fs";

/** A file's bytes from a descriptor, which is closed at the end. */
export function streamFile(fd: number): ReadableStream<Uint8Array> {
  const reader = Bun.file(fd).stream().getReader();
  let open = true;
  const close = () => {
    if (open) closeSync(fd);
    open = false;
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        close();
        controller.close();
      },
      async cancel() {
        await reader.cancel();
        close();
      },
    },
    { highWaterMark: 0 },
  );
}
