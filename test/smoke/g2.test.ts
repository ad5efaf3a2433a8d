import { afterAll, expect, test } from "bun:test";
import { resolve } from "node:path";
import { withModels } from "../support/embedd.ts";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

const FAKE = resolve(import.meta.dir, "../../scripts/fake_ollama.ts");

const fake = Bun.spawn([process.execPath, FAKE, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
const first = await fake.stdout.getReader().read();
const fake_url = /^listening (http:\/\/\S+)/.exec(new TextDecoder().decode(first.value))?.[1] as string;

afterAll(async () => {
  fake.kill("SIGTERM");
  expect(await fake.exited).toBe(0);
});

inBothCompositionsOfProcesses("g2: text becomes vectors, by the built-in model and by Ollama", (start) => {
  test("embeds through the gateway by both, and the same after a restart", async () => {
    const ollama = { name: "all-minilm", provider: "ollama", url: fake_url };
    const lake = await start(withModels(ollama));
    const texts = [
      "the doctor treats a sick child",
      "a physician cares for an ill kid",
      "copper prices rose",
    ];
    const embed = async (model?: string) => {
      const response = await fetch(`${lake.url}/v1/embed`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ texts, model }),
      });
      expect(response.status).toBe(200);
      const { elapsed_ms: _, ...answer } = (await response.json()) as {
        dimension: number;
        vectors: number[][];
        elapsed_ms: number;
      };
      return answer;
    };
    const dot = (a: number[] = [], b: number[] = []) => a.reduce((sum, x, at) => sum + x * (b[at] ?? 0), 0);

    const built_in = await embed();
    const [sick, ill, copper] = built_in.vectors;
    expect(built_in.dimension).toBe(256);
    expect(dot(sick, ill)).toBeGreaterThan(dot(sick, copper) + 0.3);
    const by_ollama = await embed("all-minilm");
    expect(by_ollama.dimension).toBe(384);

    await lake.restart(lake.targetOf("embedd"));
    expect(await embed()).toEqual(built_in);
    expect(await embed("all-minilm")).toEqual(by_ollama);

    const openai = await fetch(`${lake.url}/v1/embeddings`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ input: texts[0], model: "all-minilm" }),
    });
    expect(await openai.json()).toMatchObject({ data: [{ embedding: by_ollama.vectors[0] }] });
  }, 60_000);
});
