/** embedd's interface and wire shapes: texts to vectors, and soft matches of words. */
import { type Static, t } from "elysia";

const Model = t.Optional(
  t.String({
    minLength: 1,
    maxLength: 128,
    description: "One of GET /embed/models; the default one if absent.",
  }),
);
const Truncate = t.Optional(
  t.Boolean({
    description: "Cut texts that are too long, and tell which in `truncated`; otherwise they are refused.",
  }),
);
const Truncated = t.Array(t.Integer({ minimum: 0 }), {
  description: "The positions of the texts of which only the beginning was read.",
});

export const EmbedBody = t.Object(
  {
    texts: t.Array(t.String(), {
      minItems: 1,
      description: "The texts, in any language that the model knows.",
    }),
    model: Model,
    truncate: Truncate,
    dimensions: t.Optional(
      t.Integer({
        minimum: 1,
        description: "The first so many of each vector, brought to unit length again.",
      }),
    ),
    encoding_format: t.Optional(
      t.Union([t.Literal("float"), t.Literal("base64")], {
        description: "Numbers (the default), or little-endian f32 in base64, which is a quarter of the size.",
      }),
    ),
  },
  { additionalProperties: false },
);

const Vector = t.Union([t.Array(t.Number()), t.String({ description: "little-endian f32 in base64" })]);

export const EmbedAnswer = t.Object({
  model: t.String(),
  dimension: t.Integer(),
  vectors: t.Array(Vector, { description: "One of each text, in their order." }),
  truncated: Truncated,
  tokens: t.Integer({ description: "Tokens read, as the model counts them." }),
  elapsed_ms: t.Number(),
});

export const MatchBody = t.Object(
  {
    query: t.String({ minLength: 1, description: "What is looked for." }),
    texts: t.Array(t.String(), { minItems: 1, description: "The candidates." }),
    truncate: Truncate,
  },
  { additionalProperties: false },
);

export const MatchAnswer = t.Object({
  model: t.String(),
  scores: t.Array(t.Number({ minimum: -1, maximum: 1 }), {
    description: "How well each text answers the single words of the query, in [-1, 1].",
  }),
  mean_tokens: t.Number({
    description: "How long the texts are; in a fusion the scores weigh min(1, 48 / mean_tokens).",
  }),
  truncated: Truncated,
  elapsed_ms: t.Number(),
});

export const ModelsAnswer = t.Object({
  models: t.Array(
    t.Object({
      name: t.String(),
      provider: t.Union([t.Literal("built-in"), t.Literal("ollama"), t.Literal("openai"), t.Literal("onnx")]),
      dimension: t.Union([t.Integer(), t.Null()], { description: "null until the provider's first answer" }),
      is_default: t.Boolean(),
      status: t.Union([t.Literal("ok"), t.Literal("degraded"), t.Literal("down")]),
      reason: t.Optional(t.String()),
    }),
  ),
  next_cursor: t.Null({ description: "The list is always whole." }),
});

export type ModelsAnswer = Static<typeof ModelsAnswer>;
export type ModelInfo = ModelsAnswer["models"][number];

export interface EmbedRequest {
  readonly texts: readonly string[];
  readonly model?: string;
  readonly truncate?: boolean;
  readonly dimensions?: number;
  /** Aborted when whoever asked has gone. */
  readonly signal?: AbortSignal;
}

export interface Embedded {
  readonly model: string;
  readonly dimension: number;
  /** One of each text; not the caller's to change, since the cache may hold the same. */
  readonly vectors: readonly Float32Array[];
  readonly truncated: readonly number[];
  readonly tokens: number;
  readonly elapsed_ms: number;
}

export interface MatchRequest {
  readonly query: string;
  readonly texts: readonly string[];
  readonly truncate?: boolean;
  readonly signal?: AbortSignal;
}

export type Matched = Static<typeof MatchAnswer>;

export interface Embedd {
  /**
   * Makes a vector of each text.
   * @throws LakeError invalid (naming the texts), not_found (the model), queue_full, unavailable (naming the provider), deadline
   */
  embed(request: EmbedRequest): Promise<Embedded>;
  /** Compares the words of a query with those of each text, by the built-in model. @throws LakeError as `embed` */
  match(request: MatchRequest): Promise<Matched>;
  models(): Promise<ModelsAnswer>;
}
