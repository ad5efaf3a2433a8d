/**
 * Writes to a store and says on standard output what was acknowledged; run by tests that kill it midway.
 * Arguments: the store's root, then steps: replace:KEY:TEXT:TIMES, create:KEY:TEXT:TIMES or remove:KEY.
 */
import { writeSync } from "node:fs";
import { LocalStore } from "../../src/services/storaged/local.ts";

const [root, ...steps] = process.argv.slice(2) as [string, ...string[]];
const store = await LocalStore.open(root, 0);
for (const step of steps) {
  const [verb, key = "", text = "", times = "1"] = step.split(":");
  const body = async function* () {
    for (let i = 0; i < Number(times); i++) yield Buffer.from(text);
  };
  try {
    if (verb === "remove") await store.remove(key);
    else if (verb === "create") await store.create(key, body());
    else await store.replace(key, body());
    writeSync(1, `done ${key}\n`);
  } catch (error) {
    writeSync(1, `failed ${key} ${(error as { code?: string }).code}\n`);
  }
}
await store.close();
