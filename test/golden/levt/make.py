# Makes levt.safetensors and levt.json: a small Levenshtein Transformer with random weights, and what a plain PyTorch twin
# in float64 says about a few rows, one refinement round and three optimizer steps. The encoder is that of MERGE's twin.
# Made with Python 3.11, torch 2.13.0 (CPU), safetensors 0.8.0, numpy 2.4.6:
#   python3 -m pip install torch==2.13.0 safetensors==0.8.0 numpy && python3 test/golden/levt/make.py
import importlib.util
import json
import math
import os
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "../merge"))
spec = importlib.util.spec_from_file_location("merge_make", os.path.join(here, "../merge/make.py"))
merge = importlib.util.module_from_spec(spec)
spec.loader.exec_module(merge)
PAD, BOS, EOS, MASK, SEP = range(5)

config = {"family": "levt", "vocabulary": 29, "width": 16, "layers": 2, "heads": 2, "keyHeads": 1, "feedForward": 24,
          "maxLength": 24, "maxInsert": 4, "localMix": 3, "positions": "rope", "ropeBase": 10000, "normEpsilon": 1e-5,
          "pad": PAD, "bos": BOS, "eos": EOS, "mask": MASK, "sep": SEP, "norm": "rms", "normPlace": "before",
          "embeddingNorm": False, "biases": "none", "activation": "swiglu", "head": "tied", "attentionWindow": 0,
          "globalEvery": 1, "localRopeBase": 10000, "activationCheckpointing": False, "dtype": "float32",
          "device": "cpu", "matmulPrecision": "highest", "seed": 1}
# The roll-in draws nothing: deletion learns on the draft, insertion on what the expert leaves of it.
step = {"seed": 5, "learningRate": 1e-2, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-6, "weightDecay": 0.1, "clip": 0.5,
        "accumulation": 1, "weightDeletion": 0.7, "weightPlaceholder": 0.6, "weightToken": 1.1, "labelSmoothing": 0.1,
        "countSmoothing": 0.02, "subsequence": 0, "ownDeletion": 0, "ownFill": 0}
penalty = 0.3  # of the round


def random_weights(generator):
    d, counts = config["width"], config["maxInsert"] + 1
    like = {**config, "deleter": "linear", "inserter": "linear", "gateFeatures": "mean", "condition": "none"}
    weights = {name: value for name, value in merge.random_weights(like, generator).items()
               if name.split(".")[0] in ("embedding", "encoder")}
    for name, rows in (("deletion.weight", 1), ("placeholder.left.weight", counts), ("placeholder.right.weight", counts)):
        weights[name] = torch.randn(rows, d, generator=generator) * 1.2 / math.sqrt(d)
    weights["deletion.bias"] = torch.tensor([0.2])
    weights["placeholder.bias"] = 0.3 * torch.randn(counts, generator=generator)
    return weights


class Twin(merge.Twin):
    def keep(self, hidden):
        return (hidden @ self.w["deletion.weight"].T + self.w["deletion.bias"]).squeeze(-1)

    def placeholders(self, hidden):
        pairs = torch.cat([hidden[:-1], hidden[1:]], 1)
        matrix = torch.cat([self.w["placeholder.left.weight"], self.w["placeholder.right.weight"]], 1)
        return pairs @ matrix.T + self.w["placeholder.bias"]


def opened(row, counts):
    """The row with placeholders in its gaps, and the source of each token."""
    tokens, source = [], []
    for gap, masks in enumerate(counts):
        tokens += [MASK] * masks
        source += [-1] * masks
        if gap < len(row):
            tokens.append(row[gap])
            source.append(gap)
    return tokens, source


def inspection(twin, rows):
    out = {name: [] for name in ("hidden", "logits", "keep", "counts")}
    for row in rows:
        hidden = twin.encode(row)
        for name, value in (("hidden", hidden), ("logits", twin.logits(hidden)), ("keep", twin.keep(hidden)),
                            ("counts", twin.placeholders(hidden))):
            out[name].append(value)
    return {name: merge.rounded(torch.cat(parts)) for name, parts in out.items()}


def refined(twin, rows):
    """One round; None where a decision is too close to call in float32, or the round shows little."""
    out = {name: [] for name in ("tokens", "offsets", "source", "confidence", "keep")}
    out["offsets"].append(0)
    margin, deleted, whole = 1.0, 0, 0
    for row in rows:
        keep = twin.keep(twin.encode(row))[1:-1].sigmoid()
        out["keep"] += keep.tolist()
        margin = min([margin, *(keep - 0.5).abs().tolist()])
        kept = [i for i in range(len(row)) if keep[i] > 0.5]
        deleted, whole = deleted + len(row) - len(kept), whole + (len(kept) == len(row) > 0)
        skeleton = [row[i] for i in kept]
        logits = twin.placeholders(twin.encode(skeleton))
        logits[:, 0] -= penalty
        top = logits.topk(2, 1).values
        margin = min(margin, (top[:, 0] - top[:, 1]).min().item())
        tokens, source = opened(skeleton, logits.argmax(1).tolist())
        fill = twin.logits(twin.encode(tokens))[1:-1]
        fill[:, [PAD, BOS, EOS, MASK, SEP]] = -math.inf
        probability = fill.softmax(1)
        for i, token in enumerate(tokens):
            best = probability[i].topk(2).values
            if token == MASK:
                margin = min(margin, (best[0] - best[1]).item())
            out["tokens"].append(probability[i].argmax().item() if token == MASK else token)
            out["confidence"].append(best[0].item() if token == MASK else 1.0)
        out["source"] += [kept[i] if i >= 0 else -1 for i in source]
        out["offsets"].append(len(out["tokens"]))
    lengths = [end - start for start, end in zip(out["offsets"], out["offsets"][1:])]
    filled = {token for token, source in zip(out["tokens"], out["source"]) if source < 0}
    is_telling = deleted > 2 and whole > 0 and len(filled) > 5
    return out if margin > 1e-3 and is_telling and max(lengths) < config["maxLength"] else None


def losses(twin, drafts, targets):
    """Targets hold no token twice, so the expert keeps exactly the draft's tokens of them."""
    keeps, flags, counts, missing, fills, fill_targets = [], [], [], [], [], []
    for x, y in zip(drafts, targets):
        keeps.append(twin.keep(twin.encode(x))[1:-1])
        flags += [float(token in y) for token in x]
        skeleton = [token for token in x if token in y]
        ends = [-1, *[y.index(token) for token in skeleton], len(y)]
        lacks = [y[ends[g] + 1:ends[g + 1]][:config["maxInsert"]] for g in range(len(skeleton) + 1)]
        counts.append(twin.placeholders(twin.encode(skeleton)))
        missing += [len(tokens) for tokens in lacks]
        tokens, _ = opened(skeleton, [len(each) for each in lacks])
        logits = twin.logits(twin.encode(tokens))[1:-1]
        fills.append(logits[[i for i, token in enumerate(tokens) if token == MASK]])
        fill_targets += sum(lacks, [])
    terms = {
        "deletion": F.binary_cross_entropy_with_logits(torch.cat(keeps), torch.tensor(flags, dtype=torch.float64)),
        "placeholder": F.cross_entropy(torch.cat(counts), torch.tensor(missing), label_smoothing=step["countSmoothing"]),
        "token": F.cross_entropy(torch.cat(fills), torch.tensor(fill_targets), label_smoothing=step["labelSmoothing"]),
    }
    terms["total"] = sum(step["weight" + name.capitalize()] * term for name, term in terms.items())
    return terms


def trained(twin, drafts, targets):
    """The report's numbers of three steps; matrices are decayed, vectors are not."""
    matrices = [value for value in twin.w.values() if value.dim() > 1]
    vectors = [value for value in twin.w.values() if value.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": step["weightDecay"]}, {"params": vectors, "weight_decay": 0}],
        lr=step["learningRate"], betas=(step["beta1"], step["beta2"]), eps=step["epsilon"])
    reports = []
    for _ in range(3):
        optimizer.zero_grad()
        terms = losses(twin, drafts, targets)
        terms["total"].backward()
        norm = torch.nn.utils.clip_grad_norm_(list(twin.w.values()), step["clip"])
        optimizer.step()
        reports.append({**{name: term.item() for name, term in terms.items()}, "gradientNorm": norm.item()})
    return reports


torch.set_num_threads(1)
for seed in range(2000):
    generator = torch.Generator().manual_seed(seed)
    weights = random_weights(generator)
    twin = Twin(config, weights)
    rows = [torch.randint(5, config["vocabulary"], (n,), generator=generator).tolist() for n in (0, 1, 5, 9, 2, 1)]
    with torch.no_grad():
        round_output = refined(twin, rows)
    if round_output is not None:
        break
else:
    raise SystemExit("no seed decides clearly")
with torch.no_grad():
    expected = inspection(twin, rows)
drafts, targets = merge.training_rows(config, generator)
golden = {
    "config": config,
    "rows": rows,
    "inspect": expected,
    "emptyPenalty": penalty,
    "round": {key: values if isinstance(values[0], int) else merge.rounded(torch.tensor(values, dtype=torch.float64))
              for key, values in round_output.items()},
    "step": step,
    "drafts": drafts,
    "targets": targets,
    "reports": trained(twin, drafts, targets),
}
save_file({key: value.float() for key, value in weights.items()}, os.path.join(here, "levt.safetensors"),
          metadata={"format": "merge-lm"})
with open(os.path.join(here, "levt.json"), "w", encoding="ascii") as file:
    file.write("{\n" + ",\n".join(f'"{key}": {json.dumps(value, separators=(",", ":"))}' for key, value in golden.items()))
    file.write("\n}\n")
print(f"seed {seed}, {round_output['offsets'][-1]} tokens after the round, {golden['reports']}")
