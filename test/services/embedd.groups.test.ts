import { expect, test } from "bun:test";
import fc from "fast-check";
import { groupsOf } from "../../src/services/embedd/groups.ts";

test("texts of like length are read together, within the bound, and none is lost", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 512 }), { maxLength: 200 }),
      fc.integer({ min: 1, max: 4096 }),
      (lengths, max_tokens) => {
        const groups = groupsOf(lengths, max_tokens);
        expect(groups.flat().sort((a, b) => a - b)).toEqual([...lengths.keys()]);
        const longest = groups.map((group) => Math.max(...group.map((at) => lengths[at] as number)));
        expect(longest).toEqual([...longest].sort((a, b) => a - b));
        for (const [at, group] of groups.entries())
          expect(group.length === 1 || group.length * (longest[at] as number) <= max_tokens).toBe(true);
      },
    ),
  );
});

test("what fits is not cut up", () => {
  expect(groupsOf([3, 1, 2, 9], 9)).toEqual([[1, 2, 0], [3]]);
  expect(groupsOf([], 9)).toEqual([]);
});
