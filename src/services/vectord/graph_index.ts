/** usearch's index with an index's settings, and what both who fills it and who judges one need to know of it. */
import { Index, MetricKind, ScalarKind } from "usearch";
import type { IndexSettings } from "./schema.ts";

/** Of vectors of length one the inner product is the cosine, at a third of the work. */
const METRIC = { cosine: MetricKind.IP, l2: MetricKind.L2sq, dot: MetricKind.IP };
const SCALAR = { f32: ScalarKind.F32, f16: ScalarKind.F16, i8: ScalarKind.I8 };
export const SCALAR_BYTES = { f32: 4, f16: 2, i8: 1 };
/** An overwritten vector has its old key and this: a key that no item ever has. */
export const OVERWRITTEN = 2 ** 52;

/** Each search looks at as many candidates as it asks for. */
export function emptyIndex(settings: IndexSettings): Index {
  const { dimension, metric, quantization, connectivity, ef_construction } = settings;
  return new Index({
    dimensions: dimension,
    metric: METRIC[metric],
    quantization: SCALAR[quantization],
    connectivity,
    expansion_add: ef_construction,
    expansion_search: 1,
    multi: false,
  });
}
