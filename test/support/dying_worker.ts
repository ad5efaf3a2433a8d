/** A Worker that dies of the question "die", refuses to start when told so, and answers any other with itself. */
declare const self: Worker;

self.onmessage = ({ data }: MessageEvent<{ settings?: { broken: boolean }; id?: number; text?: string }>) => {
  if (data.settings)
    self.postMessage(data.settings.broken ? { ready: false, reason: "it is broken" } : { ready: true });
  else if (data.text === "die") process.exit(1);
  else if (data.text !== "silence") self.postMessage({ id: data.id, result: data.text });
};

export {};
