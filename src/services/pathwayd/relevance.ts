/**
 * How relevant each hit is to a query: the index's hybrid score, what the traces around it lend, and two marks. The
 * weights were measured on conversations, leaving one out (docs/memory.md).
 */
import { textOf } from "./text.ts";
import type { Kept, Version } from "./trace.ts";

/** What the nearest and the second nearest on each side lend of what they exceed the last hit by. */
const LENT = [0.25, 0.2];
/** Of that, what they lend where no run says that they belong together. */
const WITHOUT_RUN = 0.5;
const ASKS = -0.15;
const NAMED = 0.1;

export interface Candidate {
  readonly kept: Kept;
  readonly version: Version;
  /** Of the hybrid search. */
  readonly score: number;
}

export interface Relevance {
  readonly relevance: number;
  readonly neighbours: number;
  readonly asks: number;
  readonly subject: number;
}

/** @returns one for each of the candidates, in their order */
export function relevances(query: string, candidates: readonly Candidate[]): Relevance[] {
  const floor = Math.min(...candidates.map((it) => it.score));
  const excess = new Map<Kept, number>();
  for (const { kept, score } of candidates) excess.set(kept, Math.max(excess.get(kept) ?? 0, score - floor));
  const asked = ` ${wordsOf(query)} `;
  return candidates.map(({ kept, version, score }) => {
    const { content, subject: about } = version.body;
    const neighbours = lent(kept, excess);
    const asks = /[?\uff1f\u061f]\s*$/u.test(textOf(content)) ? ASKS : 0;
    const subject = about !== undefined && asked.includes(` ${wordsOf(about)} `) ? NAMED : 0;
    return { relevance: score + neighbours + asks + subject, neighbours, asks, subject };
  });
}

/** Turns of a talk, or steps of a run, are about what those around them are about. */
function lent({ place: { among, at }, scope }: Kept, excess: ReadonlyMap<Kept, number>): number {
  let sum = 0;
  for (const [distance, share] of LENT.entries())
    for (const neighbour of [among[at - distance - 1], among[at + distance + 1]])
      if (neighbour) sum += share * (excess.get(neighbour) ?? 0);
  return scope.run_id === undefined ? WITHOUT_RUN * sum : sum;
}

const wordsOf = (text: string): string => (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).join(" ");
