"""Plain English text for the distillation, read from packages on PyPI that carry it as files.

Every source is permissively licensed (the model card lists them); none is one of the retrieval
sets that the model is measured on. texts(seed) is deterministic for given package versions.
"""

import ast
import glob
import importlib.util
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# How many texts of each source are used at most, so that no one domain drowns the others.
SHARES = {
    "chitchat": 330_000,
    "wordnet": 260_000,
    "statcan": 30_000,
    "homeassistant": 15_000,
    "bioregistry": 12_000,
    "botocore": 70_000,
    "docstrings": 90_000,
    "chatterbot": 5_000,
}

SPANS = 150_000

DOCSTRING_PACKAGES = ["astropy", "Bio", "networkx", "pandas", "skimage", "sklearn", "statsmodels", "sympy", "scipy", "numpy"]


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: pip install --no-deps -r requirements.txt")
    return Path(spec.origin).parent


def _json(path: Path):
    return json.loads(path.read_text(encoding="utf-8"))


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+(?=[A-Z\"'(])", text)


def _windows(text: str, rng: random.Random) -> Iterator[str]:
    """A text as it is when short; a long one as runs of one to six sentences."""
    text = re.sub(r"\s+", " ", text).strip()
    sentences = _sentences(text)
    at = 0
    while at < len(sentences):
        run = rng.choice([1, 1, 2, 3, 4, 6])
        yield " ".join(sentences[at : at + run])
        at += run


def chitchat(rng: random.Random) -> Iterator[str]:
    """Messages, whole turns, and turns with what was said before; some named by a speaker, as chats are stored."""
    first = [
        line.split()[0].capitalize()
        for sex in ("male", "female")
        for line in (_folder("names") / f"dist.{sex}.first").read_text().splitlines()[:400]
    ]
    for talk in _json(_folder("chitchat_dataset") / "dataset.json").values():
        speakers: dict[str, str] = {}
        previous = ""
        for turn in talk["messages"]:
            said = [message["text"].strip() for message in turn if message["text"].strip()]
            if not said:
                continue
            whole = " ".join(said)
            who = speakers.setdefault(turn[0]["sender"], rng.choice(first))
            yield f"{who}: {whole}" if rng.random() < 0.5 else whole
            if len(said) > 1:
                yield max(said, key=len)
            if previous and rng.random() < 0.4:
                yield f"{previous} {whole}"
            previous = whole


def wordnet(rng: random.Random) -> Iterator[str]:
    """Headwords with their glosses, glosses alone, examples, and multiword headwords."""
    data = _folder("wn") / "data" / "wordnet-3.0"
    for part in ("noun", "verb", "adj", "adv"):
        for line in (data / f"data.{part}").read_text(encoding="utf-8").splitlines():
            if line.startswith("  ") or " | " not in line:
                continue
            fields, gloss = line.split(" | ", 1)
            fields = fields.split(" ")
            count = int(fields[3], 16)
            words = [re.sub(r"\(\w+\)$", "", fields[4 + 2 * i]).replace("_", " ") for i in range(count)]
            meaning = re.split(r';\s*"', gloss)[0].strip()
            yield f"{', '.join(words)}: {meaning}"
            if len(meaning.split()) > 3:
                yield meaning
            yield from (example for example in re.findall(r'"([^"]+)"', gloss) if len(example.split()) > 2)
            yield from (word for word in words if " " in word and rng.random() < 0.4)


def statcan(rng: random.Random) -> Iterator[str]:
    data = _folder("statcan_dialogue_dataset") / "_data"
    for table in _json(data / "basic_info.json").values():
        yield table["title_en"]
    notes = {note["footnotesEn"] for table in _json(data / "footnotes.json").values() for note in table if note["footnotesEn"]}
    for note in sorted(notes):
        yield from _windows(note, rng)


def homeassistant(rng: random.Random) -> Iterator[str]:
    def walk(node) -> Iterator[str]:
        if isinstance(node, dict):
            for value in node.values():
                yield from walk(value)
        elif isinstance(node, str):
            yield re.sub(r"\[%key:[^%]*%\]|\{\w+\}", "", node)

    for path in sorted(glob.glob(str(_folder("homeassistant") / "components" / "*" / "strings.json"))):
        for text in walk(_json(Path(path))):
            yield from _windows(text, rng)


def bioregistry(rng: random.Random) -> Iterator[str]:
    for entry in _json(_folder("bioregistry") / "data" / "bioregistry.json").values():
        yield from _windows(entry.get("description") or "", rng)
    for source in ("fairsharing", "bartoc"):
        for entry in _json(_folder("bioregistry") / "external" / source / "processed.json").values():
            text = entry.get("description") or ""
            yield entry.get("name") or ""
            yield from _windows(text, rng)


def botocore(rng: random.Random) -> Iterator[str]:
    import gzip

    def walk(node) -> Iterator[str]:
        if isinstance(node, dict):
            text = node.get("documentation")
            if isinstance(text, str):
                yield re.sub(r"<[^>]+>", " ", text)
            for value in node.values():
                yield from walk(value)

    for path in sorted(glob.glob(str(_folder("botocore") / "data" / "*" / "*" / "service-2.json.gz"))):
        found = sorted(set(walk(json.loads(gzip.decompress(Path(path).read_bytes())))))
        # The same cap for every service: EC2 alone would be a tenth of all.
        rng.shuffle(found)
        for text in found[:250]:
            yield from _windows(text, rng)


def docstrings(rng: random.Random) -> Iterator[str]:
    """Paragraphs of prose from the docstrings of scientific packages and of Python itself."""
    roots = [_folder(name) for name in DOCSTRING_PACKAGES] + [Path(ast.__file__).parent]
    for root in roots:
        for path in sorted(root.rglob("*.py")):
            if "site-packages" in path.parts and root == roots[-1] or "test" in str(path.relative_to(root)):
                continue
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except (SyntaxError, UnicodeDecodeError):
                continue  # lib2to3's samples and the like are not Python 3
            for node in ast.walk(tree):
                if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                    continue
                for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
                    if not re.search(r">>>|::|---|===|\\\w|\.\. ", paragraph) and len(paragraph.split()) > 5:
                        yield from _windows(re.sub(r":\w+:`~?([^`]*)`|`+", r"\1", paragraph), rng)


def chatterbot(rng: random.Random) -> Iterator[str]:
    for path in sorted((_folder("chatterbot_corpus") / "data" / "english").glob("*.yml")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if (match := re.match(r"[\s-]+(.*)", line)) and match[1]:
                yield from _windows(match[1].strip("'\""), rng)


def usable(text: str) -> bool:
    letters = sum(c.isalpha() for c in text)
    return 2 <= letters and letters >= 0.6 * len(text.replace(" ", "")) and len(text) <= 1_500


def spans(whole: list[str], count: int, rng: random.Random) -> Iterator[str]:
    """Runs of two to seven words out of texts: what people type into a search box is no sentence."""
    for text in rng.sample(whole, count):
        words = text.split()
        size = rng.randint(2, 7)
        at = rng.randrange(max(1, len(words) - size))
        yield " ".join(words[at : at + size])


def texts(seed: int) -> list[str]:
    """All training texts, shuffled, without duplicates."""
    chosen: dict[str, None] = {}
    for name, share in SHARES.items():
        rng = random.Random(f"{seed} {name}")
        found = [text for text in dict.fromkeys(globals()[name](rng)) if usable(text)]
        rng.shuffle(found)
        print(f"{name}: {min(share, len(found))} of {len(found)} texts", file=sys.stderr)
        chosen.update(dict.fromkeys(found[:share]))
    cut = spans(list(chosen), SPANS, random.Random(f"{seed} spans"))
    chosen.update(dict.fromkeys(text for text in cut if usable(text)))
    out = list(chosen)
    random.Random(seed).shuffle(out)
    return out


if __name__ == "__main__":
    for text in texts(7)[:40]:
        print(text)
