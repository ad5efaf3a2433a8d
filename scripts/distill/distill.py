"""Makes the built-in embedding model: one vector for each WordPiece token, 256 dimensions, int8.

The recipe is Model2Vec's and POTION's (Minish Lab, 2024): start from the teacher's vector of each
token alone, weighted by rarity; then learn the table so that the sum of a text's token vectors points
where the teacher's sentence vector points. Usage, from this folder, with the teacher's package and the
texts installed (requirements.txt):

    HF_HUB_OFFLINE=1 python distill.py --work /some/scratch/folder --out ../../src/services/embedd/model
"""

import argparse
import hashlib
import struct
from pathlib import Path

import characters
import corpus
import numpy as np
import scipy.sparse as sp
from teacher import Teacher, load_tokenizer

SEED = 7
VOCABULARY = 30_522
DIMENSION = 256
# What a text may have at most for the teacher, its special tokens included.
MAX_TOKENS = 128
EPOCHS = 5
BATCH_TEXTS = 4_096
PEAK_RATE = 2e-3
WARM_UP_STEPS = 50
# Rows with no token of their own: special and unused ones add nothing to a text.
SILENT_ROWS = range(0, 999)


def embed_corpus(work: Path, threads: int) -> tuple[sp.csr_matrix, np.ndarray]:
    """Token counts (texts × vocabulary) and the teacher's vectors (texts × 384, f16); kept in `work`."""
    kept = work / "corpus.npz"
    if not kept.exists():
        texts = corpus.texts(SEED)
        teacher = Teacher(MAX_TOKENS, threads)
        tokenizer = load_tokenizer(MAX_TOKENS)
        vectors = np.empty((len(texts), 384), dtype=np.float16)
        ids: list[np.ndarray] = []
        for start in range(0, len(texts), 20_000):
            encoded = [e.ids for e in tokenizer.encode_batch(texts[start : start + 20_000])]
            vectors[start : start + len(encoded)] = teacher.embed_ids(encoded)
            ids += [np.array(tokens[1:-1], dtype=np.uint16) for tokens in encoded]
            print(f"teacher: {start + len(encoded)} of {len(texts)} texts", flush=True)
        lengths = np.array([len(tokens) for tokens in ids])
        np.savez(kept, flat=np.concatenate(ids), lengths=lengths, vectors=vectors)
    stored = np.load(kept)
    flat, lengths = stored["flat"], stored["lengths"]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    counts = sp.csr_matrix(
        (np.ones(len(flat), np.float32), flat.astype(np.int32), offsets), shape=(len(lengths), VOCABULARY)
    )
    counts.sum_duplicates()
    return counts, stored["vectors"]


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def principal_axes(vectors: np.ndarray) -> np.ndarray:
    """384 × 256: the directions in which the teacher's sentence vectors are longest (PCA, not centred,
    so that the cosine keeps its meaning)."""
    sample = vectors[:100_000].astype(np.float32)
    axes, strength, _ = np.linalg.svd(sample.T @ sample)
    print(f"principal axes keep {strength[:DIMENSION].sum() / strength.sum():.4f} of the energy", flush=True)
    return axes[:, :DIMENSION]


def first_table(axes: np.ndarray, threads: int) -> np.ndarray:
    """Each token through the teacher; BERT's vocabulary is ordered by frequency, so the logarithm of the
    row stands for rarity."""
    alone = Teacher(8, threads).embed_ids([[101, row, 102] for row in range(VOCABULARY)])
    table = ((alone - alone.mean(axis=0)) @ axes) * (np.log(2 + np.arange(VOCABULARY)) / 10)[:, None]
    table[SILENT_ROWS] = 0
    return table.astype(np.float32)


def learn(counts: sp.csr_matrix, targets: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Adam on 1 − cos(sum of token vectors, target), warmed up and cooled down along a cosine."""
    rng = np.random.default_rng(SEED)
    mean = np.zeros_like(table)
    square = np.zeros_like(table)
    step, steps = 0, EPOCHS * (counts.shape[0] // BATCH_TEXTS)
    for epoch in range(EPOCHS):
        order = rng.permutation(counts.shape[0])
        lost = 0.0
        for start in range(0, len(order) - BATCH_TEXTS + 1, BATCH_TEXTS):
            rows = order[start : start + BATCH_TEXTS]
            batch, target = counts[rows], targets[rows]
            sums = batch @ table
            lengths = np.linalg.norm(sums, axis=1, keepdims=True) + 1e-6
            cosine = (sums * target).sum(axis=1, keepdims=True) / lengths
            lost += 1 - cosine.mean()
            slope = batch.T @ ((cosine * sums / lengths - target) / lengths / BATCH_TEXTS)
            step += 1
            mean += 0.1 * (slope - mean)
            square += 0.02 * (slope * slope - square)
            rate = PEAK_RATE * min(1, step / WARM_UP_STEPS) * (1 + np.cos(np.pi * (step - 1) / steps)) / 2
            table -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.98**step)) + 1e-8)
        print(f"epoch {epoch + 1}: 1 - cosine = {lost / (len(order) // BATCH_TEXTS):.4f}", flush=True)
    table[SILENT_ROWS] = 0
    return table


def write_table(table: np.ndarray, out: Path) -> None:
    """table.bin: "LHSE", format 1, rows, dimension (u32 little-endian); a scale for each row (f32); rows (int8)."""
    scales = np.abs(table).max(axis=1) / 127
    rows = np.round(table / np.maximum(scales, 1e-12)[:, None]).astype(np.int8)
    header = struct.pack("<4sIII", b"LHSE", 1, *table.shape)
    (out / "table.bin").write_bytes(header + scales.astype("<f4").tobytes() + rows.tobytes())


def write_checksums(out: Path) -> None:
    names = ["table.bin", "vocab.txt", "characters.txt"]
    lines = [f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (out / "checksums.sha256").write_text("".join(lines))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--work", type=Path, required=True, help="scratch folder: the teacher's vectors are kept here")
    options.add_argument("--out", type=Path, required=True, help="folder of the model")
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    chosen.work.mkdir(parents=True, exist_ok=True)
    counts, vectors = embed_corpus(chosen.work, chosen.threads)
    axes = principal_axes(vectors)
    table = learn(counts, unit(vectors.astype(np.float32) @ axes), first_table(axes, chosen.threads))
    write_table(table, chosen.out)
    characters.main(chosen.out)
    write_checksums(chosen.out)


if __name__ == "__main__":
    main()
