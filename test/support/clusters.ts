/** Vectors in clusters, as embeddings lie: in many dimensions without any, a graph finds little of whatever is asked. */

export interface ClusterShape {
  readonly dimension: number;
  readonly count: number;
  /** How many times the longest vector is as long as the shortest. */
  readonly longest: number;
}

const CLUSTERS = 50;
/** How far from a cluster's middle its vectors lie, each number. */
const SPREAD = 0.5;

/** @returns vectors of lengths from about 1 to `longest`, spread evenly over the orders of magnitude */
export function clustered({ dimension, count, longest }: ClusterShape, random: () => number): Float32Array[] {
  const middles = Array.from({ length: CLUSTERS }, () => normals(dimension, random));
  return Array.from({ length: count }, (_, at) => {
    const middle = middles[at % CLUSTERS] as Float32Array;
    const length = longest ** random() / Math.sqrt(dimension);
    return normals(dimension, random).map((it, of) => length * ((middle[of] as number) + SPREAD * it));
  });
}

/** Numbers of the normal distribution (Box and Muller). */
function normals(count: number, random: () => number): Float32Array {
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()),
  );
}
