/** A real headless Chromium for the pages a person opens; it reaches nothing beyond this machine. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium } from "playwright-core";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Where Chromium is installed here, if it is. */
export const chromium_path = PLACES.find((place) => existsSync(place));

export interface Browser {
  readonly context: BrowserContext;
  /** Every URL asked for so far, by the page and by what it loaded. */
  readonly requested: string[];
  close(): Promise<void>;
}

/** Opens Chromium with a profile of its own, which `close` deletes. */
export async function openBrowser(): Promise<Browser> {
  if (!chromium_path) throw new Error(`no Chromium at ${PLACES.join(", ")}`);
  const profile = mkdtempSync(join(tmpdir(), "lakehouse-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: chromium_path,
    headless: true,
    args: FLAGS,
  });
  const requested: string[] = [];
  context.on("request", (request) => requested.push(request.url()));
  return {
    context,
    requested,
    close: async () => {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
