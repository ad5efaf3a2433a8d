/** The settings of one embedding model. */
import { Type } from "@sinclair/typebox";

/** A model that another program runs; the built-in one needs no entry. */
export const EmbeddingModel = Type.Object(
  {
    name: Type.String({ pattern: "^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$" }),
    provider: Type.Union([Type.Literal("ollama"), Type.Literal("openai"), Type.Literal("onnx")]),
    url: Type.Optional(Type.String({ pattern: "^https?://[^/?#@\\s]+(/[^?#\\s]*)?$" })),
    path: Type.Optional(Type.String({ minLength: 1 })),
    upstream_name: Type.Optional(Type.String({ minLength: 1 })),
    api_key: Type.Optional(
      Type.String({
        pattern: "^[\\x21-\\x7e]+$",
        description: "a key without spaces, which is never shown",
        is_secret: true,
      }),
    ),
    dimension: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_536 })),
    batch: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    keep_alive: Type.Optional(Type.String({ pattern: "^-?\\d+(ms|s|m|h)?$" })),
    pooling: Type.Optional(Type.Union([Type.Literal("mean"), Type.Literal("cls")])),
  },
  { additionalProperties: false },
);

export const EMBEDDING_MODELS = `[[embedd.models]]
name = "nomic-embed-text"            # what callers ask for
provider = "ollama"                  # or "openai" (any server with /embeddings), or "onnx"
url = "http://127.0.0.1:11434"       # openai: up to /v1, as in "https://api.openai.com/v1"
upstream_name = "nomic-embed-text"   # what the provider calls it, where that differs
api_key = "…"                        # openai
dimension = 768                      # checked where given, else learnt from the first answer
batch = 64                           # texts of one call
keep_alive = "5m"                    # ollama
path = "models/all-MiniLM-L6-v2"     # onnx: a folder, or a name in the hub's cache
pooling = "mean"                     # onnx: or "cls"`;
