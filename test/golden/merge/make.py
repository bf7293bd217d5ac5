# Makes <name>.safetensors and <name>.json: small MERGE models with random weights, and what a plain PyTorch twin of the
# model, written from the formulas, says about a few rows, one refinement round and three optimizer steps.
# Made with Python 3.11, torch 2.13.0 (CPU), safetensors 0.8.0, numpy 2.4.6:
#   python3 -m pip install torch==2.13.0 safetensors==0.8.0 numpy && python3 test/golden/merge/make.py
import json
import math
import os

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from shapes import BOS, EOS, MASK, PAD, SEP, common, shapes, step

here = os.path.dirname(os.path.abspath(__file__))


def random_weights(c, generator):
    """Every tensor of the model by name, large enough that all outputs differ clearly."""
    d, f = c["width"], c["feedForward"]
    weights = {}

    def matrix(name, rows, columns):
        weights[name] = torch.randn(rows, columns, generator=generator) * 1.2 / math.sqrt(columns)

    def vector(name, size, center):
        weights[name] = center + 0.3 * torch.randn(size, generator=generator)

    def block(name):
        vector(name + ".attention_norm.weight", d, 1)
        matrix(name + ".attention.qkv.weight", d + 2 * c["keyHeads"] * (d // c["heads"]), d)
        matrix(name + ".attention.output.weight", d, d)
        vector(name + ".feed_forward_norm.weight", d, 1)
        matrix(name + ".feed_forward.gate_up.weight", 2 * f, d)
        matrix(name + ".feed_forward.down.weight", d, f)

    matrix("embedding.weight", c["vocabulary"], d)
    if c["localMix"] > 0:
        matrix("encoder.mix.weight", c["localMix"], d)
        weights["encoder.mix.weight"] += 0.3 * torch.randn(c["localMix"], d, generator=generator)
    if c["positions"] == "relative":
        matrix("encoder.relative.weight", c["heads"], 32)
        weights["encoder.relative.weight"] *= 5
    if c["positions"] == "absolute":
        matrix("encoder.positions.weight", c["maxLength"] + 2, d)
    for i in range(c["layers"]):
        block(f"encoder.blocks.{i}")
    vector("encoder.norm.weight", d, 1)
    for part in ("deleter", "inserter"):
        if c[part] == "block":
            block(part + ".block")
            vector(part + ".norm.weight", d, 1)
    matrix("deleter.linear.weight", 1, d)
    vector("deleter.linear.bias", 1, 0)
    matrix("inserter.left.weight", c["maxInsert"] + 2, d)
    matrix("inserter.right.weight", c["maxInsert"] + 2, d)
    vector("inserter.bias", c["maxInsert"] + 2, 0)
    pooled = 2 * d if c["gateFeatures"] == "doubt" else d
    vector("gate.norm.weight", pooled, 1)
    vector("gate.norm.bias", pooled, 0)
    matrix("gate.linear.weight", 1, pooled)
    vector("gate.linear.bias", 1, 0)
    if c["gateFeatures"] == "doubt":
        vector("gate.doubt.weight", 1, 1)
    if c["condition"] == "carry":
        matrix("carry.weight", d, d)
    return weights


class Twin:
    """One row at a time, in float64, without any packing."""

    def __init__(self, config, weights):
        self.c = config
        self.w = {name: value.double().requires_grad_(True) for name, value in weights.items()}

    def rms(self, x, name):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + self.c["normEpsilon"]) * self.w[name]

    def rotate(self, x):  # [H, T, K]
        half = x.shape[-1] // 2
        frequency = self.c["ropeBase"] ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequency
        cos, sin = torch.cat([angle.cos()] * 2, -1), torch.cat([angle.sin()] * 2, -1)
        return x * cos + torch.cat([-x[..., half:], x[..., :half]], -1) * sin

    def bias(self, length):
        """T5's relative positions [H, T, T]: 16 buckets for keys up to the query, 16 for those behind it."""
        position = torch.arange(length)
        distance = position[None, :] - position[:, None]
        n = distance.abs()
        far = 8 + (torch.log(n.clamp(min=1).double() / 8) / math.log(128 / 8) * 8 + 1e-9).long()
        bucket = (distance > 0).long() * 16 + torch.where(n < 8, n, far.clamp(max=15))
        return self.w["encoder.relative.weight"][:, bucket]

    def block(self, x, name):
        heads, shared, (length, width) = self.c["heads"], self.c["keyHeads"], x.shape
        head = width // heads
        qkv = self.rms(x, name + ".attention_norm.weight") @ self.w[name + ".attention.qkv.weight"].T
        q, k, v = (part.view(length, -1, head).transpose(0, 1)
                   for part in qkv.split([width, shared * head, shared * head], -1))
        if self.c["positions"] == "rope":
            q, k = self.rotate(q), self.rotate(k)
        k, v = (part.repeat_interleave(heads // shared, 0) for part in (k, v))
        scores = q @ k.transpose(1, 2) / math.sqrt(head)
        if self.c["positions"] == "relative":
            scores = scores + self.bias(length)
        mixed = (scores.softmax(-1) @ v).transpose(0, 1).reshape(length, width)
        x = x + mixed @ self.w[name + ".attention.output.weight"].T
        both = self.rms(x, name + ".feed_forward_norm.weight") @ self.w[name + ".feed_forward.gate_up.weight"].T
        gate, up = both.chunk(2, -1)
        return x + (F.silu(gate) * up) @ self.w[name + ".feed_forward.down.weight"].T

    def mix(self, x):
        """Each position is a weighted sum of its neighbours, feature by feature; outside the row there is nothing."""
        taps = self.w["encoder.mix.weight"]
        half = len(taps) // 2
        around = F.pad(x, (0, 0, half, half))
        return sum(taps[k] * around[k:k + len(x)] for k in range(len(taps)))

    def encode(self, row, added=None):
        """Hidden states of [BOS] row [EOS]; `added[i]` joins the embedding of token i."""
        x = self.w["embedding.weight"][[BOS, *row, EOS]]
        if added:
            extra = [torch.zeros(self.c["width"], dtype=torch.float64)] * (len(row) + 2)
            for i, vector in added.items():
                extra[i + 1] = vector
            x = x + torch.stack(extra)
        if self.c["localMix"] > 0:
            x = self.mix(x)
        if self.c["positions"] == "absolute":
            x = x + self.w["encoder.positions.weight"][:len(x)]
        for i in range(self.c["layers"]):
            x = self.block(x, f"encoder.blocks.{i}")
        return self.rms(x, "encoder.norm.weight")

    def logits(self, hidden):
        return hidden @ self.w["embedding.weight"].T

    def keep(self, hidden):
        if self.c["deleter"] == "block":
            hidden = self.rms(self.block(hidden, "deleter.block"), "deleter.norm.weight")
        return (hidden @ self.w["deleter.linear.weight"].T + self.w["deleter.linear.bias"]).squeeze(-1)

    def gate(self, hidden, keep):
        if self.c["gateFeatures"] == "mean":
            pooled = hidden.mean(0)
        else:
            pooled = torch.cat([hidden.mean(0), hidden.max(0).values])
        features = F.layer_norm(pooled, pooled.shape, self.w["gate.norm.weight"], self.w["gate.norm.bias"],
                                self.c["normEpsilon"])
        logit = features @ self.w["gate.linear.weight"][0] + self.w["gate.linear.bias"][0]
        if self.c["gateFeatures"] == "doubt":
            doubt = torch.log(math.exp(-10) + torch.exp(-keep[1:-1]).sum())
            logit = logit + self.w["gate.doubt.weight"][0] * doubt
        return logit

    def gaps(self, hidden, kept):
        """Scores [G] and count logits [G, maxInsert + 1] of the skeleton of the kept tokens."""
        states = hidden[[0, *[i + 1 for i in kept], len(hidden) - 1]]
        if self.c["inserter"] == "block":
            states = self.rms(self.block(states, "inserter.block"), "inserter.norm.weight")
        out = (states[:-1] @ self.w["inserter.left.weight"].T + states[1:] @ self.w["inserter.right.weight"].T
               + self.w["inserter.bias"])
        return out[:, 0], out[:, 1:]

    def masked(self, row, kept, counts):
        """The row with masks in its gaps: tokens, the source of each (-1: a mask), and what each new mask carries."""
        tokens, source, carried = [], [], {}
        edges = [-1, *kept, len(row)]
        for gap, masks in enumerate(counts):
            dropped = row[edges[gap] + 1:edges[gap + 1]]
            for k in range(masks):
                start = k * len(dropped) // masks
                carried[len(tokens)] = dropped[start:max(start + 1, (k + 1) * len(dropped) // masks)]
                tokens.append(MASK)
                source.append(-1)
            if gap < len(kept):
                tokens.append(row[kept[gap]])
                source.append(kept[gap])
        return tokens, source, carried

    def fill(self, tokens, carried):
        """Logits at all positions of the masked row."""
        added = {}
        if self.c["condition"] == "carry":
            for i, dropped in carried.items():
                if dropped:
                    added[i] = self.w["carry.weight"] @ self.w["embedding.weight"][dropped].mean(0)
        return self.logits(self.encode(tokens, added)[1:-1])


def inspection(twin, rows):
    """What `inspect` returns for packed rows: every position for hidden, logits and keep; every gap for score, counts."""
    out = {name: [] for name in ("hidden", "logits", "keep", "gate", "score", "counts")}
    for row in rows:
        hidden = twin.encode(row)
        keep = twin.keep(hidden)
        score, counts = twin.gaps(hidden, list(range(len(row))))
        out["hidden"].append(hidden)
        out["logits"].append(twin.logits(hidden))
        out["keep"].append(keep)
        out["gate"].append(twin.gate(hidden, keep)[None])
        out["score"].append(score)
        out["counts"].append(counts)
    return {name: rounded(torch.cat(parts)) for name, parts in out.items()}


def refined(twin, rows):
    """One round in `edit` mode at temperature 0; None where a decision is too close to call in float32, or shows little."""
    out = {name: [] for name in ("tokens", "offsets", "source", "confidence", "keep", "gate")}
    out["offsets"].append(0)
    margin, kinds = 1.0, set()
    for row in rows:
        hidden = twin.encode(row)
        keep = twin.keep(hidden)
        out["gate"].append(twin.gate(hidden, keep).sigmoid().item())
        keep = keep[1:-1].sigmoid()
        out["keep"] += keep.tolist()
        # A row in which masks wait fills them first: it deletes nothing and takes no more.
        waits = MASK in row
        kept = [i for i in range(len(row)) if waits or keep[i] > 0.5]
        margin = min([margin, *(keep - 0.5).abs().tolist()])
        _, count_logits = twin.gaps(hidden, kept)
        counts = [0] * len(count_logits) if waits else count_logits.argmax(1).tolist()
        top = count_logits.topk(2, 1).values
        margin = min(margin, (top[:, 0] - top[:, 1]).min().item())
        tokens, source, carried = twin.masked(row, kept, counts)
        edges = [-1, *kept, len(row)]
        for gap, masks in enumerate(counts):
            dropped = edges[gap + 1] - edges[gap] - 1
            if masks > 0:
                kinds.add("none" if dropped == 0 else "fewer" if dropped < masks else "more" if dropped > masks else "even")
        fill = twin.fill(tokens, carried)
        fill[:, [PAD, BOS, EOS, MASK, SEP]] = -math.inf
        probability = fill.softmax(1)
        for i, token in enumerate(tokens):
            is_mask = token == MASK
            best = probability[i].topk(2).values
            if is_mask:
                margin = min(margin, (best[0] - best[1]).item())
            out["tokens"].append(probability[i].argmax().item() if is_mask else token)
            out["confidence"].append(best[0].item() if is_mask else 1.0)
        out["source"] += source
        out["offsets"].append(len(out["tokens"]))
    lengths = [end - start for start, end in zip(out["offsets"], out["offsets"][1:])]
    filled = {token for token, source in zip(out["tokens"], out["source"]) if source < 0}
    is_telling = {"none", "fewer", "more"} <= kinds and len(filled) > 7
    return out if margin > 1e-3 and is_telling and max(lengths) <= twin.c["maxLength"] else None


def losses(twin, drafts, targets):
    """The five terms of one round. Targets hold no token twice, so the oracle keeps exactly the draft's tokens of them."""
    fills, fill_targets, keep_logits, keep_flags, gate_logits, needs, kl, off = [], [], [], [], [], [], [], []
    count_logits, count_targets, entropies = [], [], []
    for x, y in zip(drafts, targets):
        hidden = twin.encode(x)
        keep = twin.keep(hidden)
        gate = twin.gate(hidden, keep)
        keep = keep[1:-1]
        flags = torch.tensor([float(token in y) for token in x], dtype=torch.float64)
        kept = [i for i, token in enumerate(x) if token in y]
        gate_logits.append(gate)
        needs.append(float(len(kept) < len(x)))
        if x:
            keep_logits.append(keep)
            keep_flags.append(flags)
            p = keep.sigmoid().mean().clamp(1e-4, 1 - 1e-4)
            q = (1 - step["keepReduction"] * gate.detach().sigmoid()).clamp(1e-4, 1 - 1e-4)
            kl.append(p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log())
            off.append((keep.sigmoid().mean() - flags.mean()) ** 2)
        score, logits = twin.gaps(hidden, kept)
        ends = [-1, *[y.index(x[i]) for i in kept], len(y)]
        missing = [y[ends[g] + 1:ends[g + 1]][:twin.c["maxInsert"]] for g in range(len(kept) + 1)]
        count_logits.append(logits)
        count_targets += [len(tokens) for tokens in missing]
        p = score.softmax(0)
        entropies.append(-(p * score.log_softmax(0)).sum())
        tokens, _, carried = twin.masked(x, kept, [len(tokens) for tokens in missing])
        filled = twin.fill(tokens, carried)
        fills.append(filled[[i for i, token in enumerate(tokens) if token == MASK]])
        fill_targets += sum(missing, [])
    gate, needs = torch.stack(gate_logits), torch.tensor(needs, dtype=torch.float64)
    keep, flags = torch.cat(keep_logits), torch.cat(keep_flags)
    terms = {
        "recon": F.cross_entropy(torch.cat(fills), torch.tensor(fill_targets), label_smoothing=step["labelSmoothing"]),
        "compression": F.binary_cross_entropy_with_logits(keep, flags) + step["keepKl"] * torch.stack(kl).mean(),
        "pointer": F.cross_entropy(torch.cat(count_logits), torch.tensor(count_targets),
                                   label_smoothing=step["countSmoothing"])
        - step["scoreEntropy"] * torch.stack(entropies).mean(),
        "gate": F.binary_cross_entropy_with_logits(gate, needs) + step["gateCost"] * gate.sigmoid().mean(),
        "length": torch.stack(off).mean(),
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


def rounded(values):
    return [float(f"{value:.7g}") for value in values.flatten().tolist()]


def training_rows(c, generator):
    """Drafts and targets: nothing to do, an empty draft, an empty target, more to insert than one gap takes, mixtures."""
    words = list(range(5, c["vocabulary"]))
    half = len(words) // 2
    most = c["maxInsert"]

    def some(pool, count):
        return [pool[i] for i in torch.randperm(len(pool), generator=generator)[:count].tolist()]

    drafts, targets = [], []
    for kind in range(8):
        y = some(words[:half], 3 + kind)
        x = y
        if kind == 1:
            y = some(words[:half], most + 2)
            x = []
        elif kind == 2:
            x, y = some(words[half:], 4), []
        elif kind > 2:
            x = [token for token in y if torch.rand((), generator=generator) < 0.6]
            for token in some(words[half:], 3):
                x.insert(int(torch.randint(len(x) + 1, (), generator=generator)), token)
        drafts.append(x)
        targets.append(y)
    return drafts, targets


def make(name, shape):
    config = {**shape, **common}
    for seed in range(1000):
        generator = torch.Generator().manual_seed(seed)
        weights = random_weights(config, generator)
        twin = Twin(config, weights)
        # Relative positions need a row with distances in the last bucket.
        length = [0, 1, 5, 12, 2, 9, *([140] if config["positions"] == "relative" else [])]
        rows = [torch.randint(5, config["vocabulary"], (n,), generator=generator).tolist() for n in length]
        rows[3][4] = rows[5][0] = MASK  # masks that stand already
        with torch.no_grad():
            round_output = refined(twin, rows)
        if round_output is not None:
            break
    else:
        raise SystemExit(name + ": no seed decides clearly")
    with torch.no_grad():
        expected = inspection(twin, rows)
    drafts, targets = training_rows(config, generator)
    golden = {
        "config": config,
        "rows": rows,
        "inspect": expected,
        "round": {key: values if isinstance(values[0], int) else rounded(torch.tensor(values, dtype=torch.float64))
                  for key, values in round_output.items()},
        "step": step,
        "drafts": drafts,
        "targets": targets,
        "reports": trained(twin, drafts, targets),
    }
    save_file({key: value.float() for key, value in weights.items()}, os.path.join(here, name + ".safetensors"),
              metadata={"format": "merge-lm"})
    with open(os.path.join(here, name + ".json"), "w", encoding="ascii") as file:
        file.write("{\n" + ",\n".join(f'"{key}": {json.dumps(value, separators=(",", ":"))}' for key, value in golden.items()))
        file.write("\n}\n")
    print(f"{name}: seed {seed}, {round_output['offsets'][-1]} tokens after the round, {golden['reports']}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for shape_name, shape_config in shapes.items():
        make(shape_name, shape_config)
