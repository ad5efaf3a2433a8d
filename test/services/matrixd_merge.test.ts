/** The merge, near-duplicates and the budget, against plain models of them (property tests). */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fit, tokensOf } from "../../src/services/matrixd/budget.ts";
import type { Candidate } from "../../src/services/matrixd/corpus.ts";
import { Deadline } from "../../src/services/matrixd/deadline.ts";
import { dedupe, SIMILAR, shinglesOf } from "../../src/services/matrixd/dedupe.ts";
import { merge } from "../../src/services/matrixd/merge.ts";
import type { MatrixHit } from "../../src/services/matrixd/schema.ts";

const words = ["oslo", "bergen", "snow", "rain", "train", "boat"];
const text = fc.array(fc.constantFrom(...words), { maxLength: 12 }).map((it) => it.join(" "));
const score = fc.double({ min: 0, max: 1, noNaN: true });

/** What one corpus found, best first by its own measure. */
const ranking = (corpus: string) =>
  fc.array(fc.record({ text, bm25: score, cosine: score }), { maxLength: 8 }).map((hits) =>
    hits.map(
      (it, at): Candidate => ({
        corpus,
        id: `${at}`,
        metadata: null,
        rank: at + 1,
        score: 0,
        extra: 0,
        factor: 1,
        ...it,
      }),
    ),
  );
const rankings = fc.tuple(ranking("a"), ranking("b"), ranking("c"));
const mergedOf = (found: readonly Candidate[][], weightOf = (_corpus: string) => 1) =>
  merge(
    found.map((candidates) => ({ candidates })),
    weightOf,
  );
const keyOf = ({ corpus, id }: Candidate) => `${corpus}/${id}`;

describe("the merge", () => {
  test("keeps every candidate once, in the order of its scores, whatever the order of the corpora", () => {
    fc.assert(
      fc.property(rankings, (found) => {
        const merged = mergedOf(found);
        const highest = Math.max(...found.flat().map(({ bm25 }) => bm25)) || 1;
        const expected = new Map(
          found.flat().map((it) => [keyOf(it), (0.3 * it.bm25) / highest + 0.7 * it.cosine]),
        );
        expect(merged.map((it) => keyOf(it.candidate)).sort()).toEqual([...expected.keys()].sort());
        for (const it of merged) expect(it.score).toBeCloseTo(expected.get(keyOf(it.candidate)) ?? -1, 9);
        for (const [at, it] of merged.entries())
          expect(it.score).toBeLessThanOrEqual(merged[at - 1]?.score ?? Number.POSITIVE_INFINITY);
        expect(mergedOf([...found].reverse())).toEqual(merged);
      }),
    );
  });

  test("a corpus that knows nothing changes no order among the others", () => {
    fc.assert(
      fc.property(ranking("a"), ranking("b"), ranking("c"), (a, b, c) => {
        const highest = Math.max(0, ...[...a, ...b].map(({ bm25 }) => bm25));
        const weak = c.map((it) => ({ ...it, bm25: Math.min(it.bm25, highest), cosine: 0 }));
        const order = (hits: ReturnType<typeof mergedOf>) =>
          hits.map((it) => keyOf(it.candidate)).filter((key) => !key.startsWith("c"));
        expect(order(mergedOf([a, b, weak]))).toEqual(order(mergedOf([a, b])));
      }),
    );
  });

  test("a corpus's weight multiplies its scores", () => {
    fc.assert(
      fc.property(rankings, fc.double({ min: 0.1, max: 10, noNaN: true }), (found, weight) => {
        const plain = new Map(mergedOf(found).map((it) => [it.candidate, it.score]));
        for (const it of mergedOf(found, (corpus) => (corpus === "a" ? weight : 1)))
          expect(it.score).toBeCloseTo(
            (plain.get(it.candidate) ?? 0) * (it.candidate.corpus === "a" ? weight : 1),
            9,
          );
      }),
    );
  });
});

describe("near-duplicates", () => {
  const jaccard = (a: string, b: string) => {
    const [of_a, of_b] = [shinglesOf(a), shinglesOf(b)];
    const both = of_a.intersection(of_b).size;
    return both === 0 ? 0 : both / (of_a.size + of_b.size - both);
  };

  test("are told by the first of them, across corpora only, as comparing every pair tells", () => {
    fc.assert(
      fc.property(rankings, fc.integer({ min: 1, max: 20 }), (found, wanted) => {
        const hits = mergedOf(found);
        const kept: typeof hits = [];
        for (const hit of hits) {
          if (kept.length === wanted) break;
          const is_double = kept.some(
            ({ candidate }) =>
              candidate.corpus !== hit.candidate.corpus &&
              jaccard(candidate.text ?? "", hit.candidate.text ?? "") >= SIMILAR,
          );
          if (!is_double) kept.push(hit);
        }
        const told = dedupe(hits, wanted);
        expect(told.map((it) => keyOf(it.hit.candidate))).toEqual(kept.map((it) => keyOf(it.candidate)));
        for (const { hit, duplicates } of told)
          for (const { hit: double, similarity } of duplicates)
            expect(similarity).toBeCloseTo(jaccard(hit.candidate.text ?? "", double.candidate.text ?? ""), 9);
      }),
    );
  });

  test("are so whatever their case, signs and spaces", () => {
    expect(jaccard("A quick, brown fox jumps!", "a quick  brown FOX jumps")).toBe(1);
    expect(jaccard("a quick brown fox jumps over it", "a quick brown fox sleeps under it")).toBeLessThan(
      SIMILAR,
    );
    expect(jaccard("", "")).toBe(0);
  });
});

describe("the budget", () => {
  const hit = (id: number, tokens: number): MatrixHit => ({
    corpus: "a",
    id: `${id}`,
    score: 0,
    text: null,
    metadata: null,
    provenance: { stages: [], cosine: 0, tokens },
  });

  test("is never passed, loses nothing, keeps the order, and leaves out only what did not fit", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 20 }),
        fc.integer({ min: 1, max: 200 }),
        (sizes, budget_tokens) => {
          const hits = sizes.map((tokens, id) => hit(id, tokens));
          const { results, budget } = fit(hits, budget_tokens);
          expect(budget?.tokens).toBe(results.reduce((sum, it) => sum + it.provenance.tokens, 0));
          expect(budget?.tokens).toBeLessThanOrEqual(budget_tokens);
          const left = new Set(budget?.left_out.map(({ id }) => id));
          expect(hits.filter(({ id }) => !left.has(id))).toEqual(results);
          for (const { id, tokens } of budget?.left_out ?? []) {
            const before = results.filter((it) => Number(it.id) < Number(id));
            const spent = before.reduce((sum, it) => sum + it.provenance.tokens, 0);
            expect(spent + tokens).toBeGreaterThan(budget_tokens);
          }
        },
      ),
    );
  });

  test("counts bytes, so that other scripts cost what they cost", () => {
    expect([tokensOf(null), tokensOf(""), tokensOf("word"), tokensOf("words"), tokensOf("雪雪雪雪")]).toEqual(
      [0, 0, 1, 2, 3],
    );
  });
});

describe("the deadline", () => {
  test("gives up what is late, in time, and passes on what is not", async () => {
    const deadline = new Deadline(60, performance.now.bind(performance));
    expect(await deadline.within(0, async () => "in time")).toBe("in time");
    const never = new Promise<string>(() => {});
    await expect(deadline.within(20, () => never)).rejects.toMatchObject({ code: "deadline" });
    await expect(deadline.within(0, () => never)).rejects.toMatchObject({ code: "deadline" });
    await expect(deadline.within(0, () => never)).rejects.toMatchObject({ code: "deadline" });
  });
});
