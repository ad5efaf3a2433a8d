"""Writes test/fixtures/tokenizer.hashes: what the reference tokenizer makes of 10,000 texts.

The texts come from the generator of test/support/texts.ts, repeated here; its tables are read from
that file. The first 32 bytes are the SHA-256 of all texts, each ended by a newline, so that the two
generators are known to agree; then one little-endian FNV-1a hash of the ids for each text.
"""

import hashlib
import json
import re
import struct
import sys
from pathlib import Path

from teacher import load_tokenizer

HERE = Path(__file__).parent
SOURCE = (HERE / "../../test/support/texts.ts").read_text(encoding="utf-8")
COUNT = int(re.search(r"TEXTS = ([\d_]+)", SOURCE)[1].replace("_", ""))
SEED = int(re.search(r"seed: (\d+)", SOURCE)[1])


def _list(name: str) -> str:
    return re.search(rf"const {name}:.*?= \[(.*?)\n\];", SOURCE, re.S)[1]


RANGES = [(int(a, 16), int(b, 16)) for a, b in re.findall(r"\[(0x\w+), (0x\w+)\]", _list("RANGES"))]
PIECES = [json.loads(f'"{piece}"') for piece in re.findall(r'"((?:[^"\\]|\\.)*)"', _list("PIECES"))]


def _imul(a: int, b: int) -> int:
    return (a * b) & 0xFFFFFFFF


class Random:
    def __init__(self, seed: int):
        self.seed = seed

    def below(self, n: int) -> int:
        self.seed = (self.seed + 0x6D2B79F5) & 0xFFFFFFFF
        t = _imul(self.seed ^ (self.seed >> 15), 1 | self.seed)
        t = ((t + _imul(t ^ (t >> 7), 61 | t)) & 0xFFFFFFFF) ^ t
        return (t ^ (t >> 14)) % n

    def character(self, index: int) -> str:
        first, last = RANGES[index]
        return chr(first + self.below(last - first + 1))


def texts(words: list[str]):
    rng = Random(SEED)
    for i in range(COUNT):
        home = i % len(RANGES)
        text = ""
        for _ in range(1 + rng.below(12)):
            kind = rng.below(10)
            if kind < 3:
                text += "".join(rng.character(home) for _ in range(1 + rng.below(8)))
            elif kind < 6:
                word = words[1000 + rng.below(25_000)]
                text += word.upper() if rng.below(3) == 0 else word
            elif kind < 8:
                text += PIECES[rng.below(len(PIECES))]
            elif kind < 9:
                text += rng.character(rng.below(len(RANGES)))
            else:
                text += "a" * (101 if rng.below(40) == 0 else 1 + rng.below(3))
            if rng.below(3) != 0:
                text += " "
        yield text


def fnv(ids: list[int]) -> int:
    value = 0x811C9DC5
    for token in ids:
        value = _imul(value ^ token, 0x01000193)
    return value


def main() -> None:
    tokenizer = load_tokenizer(512)
    tokenizer.no_truncation()
    words = (HERE / "../../src/services/embedd/model/vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    digest = hashlib.sha256()
    hashes = bytearray()
    for text in texts(words):
        digest.update(text.encode() + b"\n")
        hashes += struct.pack("<I", fnv(tokenizer.encode(text, add_special_tokens=False).ids))
    (HERE / "../../test/fixtures/tokenizer.hashes").write_bytes(digest.digest() + hashes)
    if "--show" in sys.argv:
        wanted = int(sys.argv[-1])
        text = list(texts(words))[wanted]
        print(ascii(text), tokenizer.encode(text, add_special_tokens=False).ids)


if __name__ == "__main__":
    main()
