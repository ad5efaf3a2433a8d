"""Writes what the reference tokenizer does to each Unicode character, and the vocabulary.

The reference (Hugging Face tokenizers, BertNormalizer and BertPreTokenizer) uses Unicode tables
of its own age; asking it about every code point is the only way to agree with it everywhere.
Format of characters.txt, a line each: a name and runs as gap and length in turn, the gap counted
from the end of the run before; `mapped` is pairs in hexadecimal, a character and what it becomes.
Hangul syllables are left out: they decompose by the algorithm of the Unicode standard, section 3.12.
"""

import sys
from pathlib import Path

from teacher import load_tokenizer

HANGUL = range(0xAC00, 0xD7A4)


def runs(code_points: list[int]) -> list[int]:
    out: list[int] = []
    end = 0
    for code in sorted(code_points):
        if out and code == end:
            out[-1] += 1
        else:
            out += [code - end, 1]
        end = code + 1
    return out


def main(folder: Path) -> None:
    tokenizer = load_tokenizer(512)
    dropped, spaces, alone, mapped, kept = [], [], [], [], set()
    for code in range(0x110000):
        if 0xD800 <= code <= 0xDFFF:
            continue
        character = chr(code)
        # Between two letters, so that nothing is trimmed.
        result = tokenizer.normalizer.normalize_str(f"a{character}b")[1:-1]
        if result == "":
            dropped.append(code)
        elif result == " ":
            spaces.append(code)
        else:
            if result[0] == result[-1] == " ":
                alone.append(code)
                result = result.strip()
            if result != character and code not in HANGUL:
                mapped.append(f"{code:x}:" + ",".join(f"{ord(c):x}" for c in result))
            kept.update(result)
    # Punctuation is judged after normalising, so by the resulting characters.
    punctuation = [ord(c) for c in kept if len(tokenizer.pre_tokenizer.pre_tokenize_str(f"a{c}b")) == 3]
    tables = {"dropped": dropped, "spaces": spaces, "ideographs": alone, "punctuation": punctuation}
    lines = [f"{name} {' '.join(map(str, runs(codes)))}" for name, codes in tables.items()]
    lines.append(f"mapped {' '.join(mapped)}")
    (folder / "characters.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token, _ in vocabulary), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
