/** Confidence intervals of success rates, and of the difference of two. */

/** The normal quantile of a two-sided 95 %. */
const Z = 1.959964;

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Wilson's score interval (1927): unlike the plain one it holds for few outcomes, and for none or all successful. */
export function wilson(successes: number, total: number): Interval {
  const rate = successes / total;
  const scale = 1 + Z ** 2 / total;
  const centre = (rate + Z ** 2 / (2 * total)) / scale;
  const reach = (Z / scale) * Math.sqrt((rate * (1 - rate)) / total + Z ** 2 / (4 * total ** 2));
  // Where none or all succeeded, rounding would put the rate itself just outside.
  return {
    low: Math.max(0, Math.min(rate, centre - reach)),
    high: Math.min(1, Math.max(rate, centre + reach)),
  };
}

export interface Counted {
  readonly successes: number;
  readonly total: number;
}

/** The first rate less the second: Newcombe's hybrid score interval (1998, method 10), made of Wilson's of each. */
export function difference(first: Counted, second: Counted): Interval {
  const [a, b] = [first.successes / first.total, second.successes / second.total];
  const [of_a, of_b] = [wilson(first.successes, first.total), wilson(second.successes, second.total)];
  return {
    low: a - b - Math.hypot(a - of_a.low, of_b.high - b),
    high: a - b + Math.hypot(of_a.high - a, b - of_b.low),
  };
}
