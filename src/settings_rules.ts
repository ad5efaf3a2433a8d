/** The rules of matrixd's downgrade gate, as settings: what one is, how lakehouse.toml shows them, those by default. */
import { type Static, Type } from "@sinclair/typebox";

/** When a mode that brings much context falls back to a lean one; the first rule that fits counts. */
export const DowngradeRule = Type.Object(
  {
    models: Type.Array(Type.String({ minLength: 1, maxLength: 256 }), { minItems: 1 }),
    mode: Type.String({ minLength: 1, maxLength: 512 }),
    lean: Type.String({ minLength: 1, maxLength: 512 }),
    by_default: Type.Union([Type.Literal("lean"), Type.Literal("keep")]),
    min_tokens: Type.Optional(Type.Integer({ minimum: 0 })),
  },
  { additionalProperties: false },
);

export const DOWNGRADE_RULES = `[[matrixd.downgrade_rules]]
models = ["claude-opus-*", "gpt-5*", "o3*", "gemini-*-pro*"]   # * stands for anything
mode = "rich"                # the mode asked for
lean = "lean"                # what it falls back to
by_default = "lean"          # until outcomes say something clear; or "keep"
# min_tokens = 8000          # fits only contexts of at least so many tokens
[[matrixd.downgrade_rules]]
models = ["*"]
mode = "rich"
lean = "lean"
by_default = "keep"`;

/** The same as values. */
export const DEFAULT_DOWNGRADE_RULES: Static<typeof DowngradeRule>[] = [
  {
    models: ["claude-opus-*", "gpt-5*", "o3*", "gemini-*-pro*"],
    mode: "rich",
    lean: "lean",
    by_default: "lean",
  },
  { models: ["*"], mode: "rich", lean: "lean", by_default: "keep" },
];
