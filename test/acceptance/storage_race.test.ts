import { expect, test } from "bun:test";
import { inBothCompositions } from "../support/house.ts";

const KEYS = 200;
const RACERS = 64;

inBothCompositions("create-only writes", (start) => {
  test(`${RACERS} racing on each of ${KEYS} keys: one winner each, and its bytes stay`, async () => {
    const { url } = await start();
    for (let key = 0; key < KEYS; key++) {
      const at = (verb: string) => `${url}/v1/storage/${verb}/race/${key % 7}/${key}`;
      const statuses = await Promise.all(
        Array.from({ length: RACERS }, async (_, racer) => {
          const headers = { "if-none-match": "*" };
          const answer = await fetch(at("put"), { method: "PUT", body: `racer ${racer}`, headers });
          await answer.text();
          return answer.status;
        }),
      );
      const winners = statuses.flatMap((status, racer) => (status === 201 ? [racer] : []));
      expect(winners).toHaveLength(1);
      expect(statuses.filter((it) => it === 412)).toHaveLength(RACERS - 1);
      expect(await (await fetch(at("get"))).text()).toBe(`racer ${winners[0]}`);
    }
  }, 120_000);
});
