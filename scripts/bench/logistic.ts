/** Fits a logistic regression: gradient descent over standardised signals, the same result every time. */
import type { Fitted } from "../../src/services/matrixd/relevance.ts";

const STEPS = 500;
const RATE = 1;
const L2 = 1e-3;

/** @param free a column whose weight may be negative; no other's may, since more likeness never speaks against */
export function fit(rows: readonly (readonly number[])[], labels: readonly boolean[], free?: number): Fitted {
  const width = rows[0]?.length ?? 0;
  const columns = Array.from({ length: width }, (_, at) => rows.map((row) => row[at] as number));
  const means = columns.map((column) => column.reduce((sum, value) => sum + value, 0) / column.length);
  const spreads = columns.map(
    (column, at) =>
      Math.sqrt(
        column.reduce((sum, value) => sum + (value - (means[at] as number)) ** 2, 0) / column.length,
      ) || 1,
  );
  const scaled = rows.map((row) =>
    row.map((value, at) => (value - (means[at] as number)) / (spreads[at] as number)),
  );
  const weights = new Array<number>(width).fill(0);
  let bias = 0;
  for (let step = 0; step < STEPS; step++) {
    const slopes = new Array<number>(width).fill(0);
    let slope = 0;
    for (const [at, row] of scaled.entries()) {
      const sum = row.reduce((total, value, of) => total + value * (weights[of] as number), bias);
      const error = 1 / (1 + Math.exp(-sum)) - (labels[at] ? 1 : 0);
      slope += error;
      for (let of = 0; of < width; of++) slopes[of] = (slopes[of] as number) + error * (row[of] as number);
    }
    bias -= (RATE * slope) / rows.length;
    for (let of = 0; of < width; of++) {
      const weight = weights[of] as number;
      const next = weight - RATE * ((slopes[of] as number) / rows.length + L2 * weight);
      weights[of] = of === free ? next : Math.max(0, next);
    }
  }
  const unscaled = weights.map((weight, at) => weight / (spreads[at] as number));
  return {
    bias: unscaled.reduce((sum, weight, at) => sum - weight * (means[at] as number), bias),
    weights: unscaled,
  };
}
