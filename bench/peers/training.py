# Peer of MERGE's training step: the same model and step in plain PyTorch, as one would write it there: padded rows, autograd,
# fused AdamW. The edit oracle's matches, and every index made of them, are given and cost it nothing.
#
# First line of stdin: {"batches": [{"drafts", "targets", "matches"}], "weights": model.safetensors} -> {"seconds": 0}.
# Each further line: the record of a step, with the number of its batch -> {"seconds": s, "total": loss, "peakMemoryMb": m}.
import json
import math
import resource
import sys
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

c = json.loads(sys.argv[1])
torch.set_num_threads(c["threads"])
width, heads = c["width"], c["heads"]
head = width // heads
BOS, EOS, MASK = 1, 2, 3


def padded(rows):
    most = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (most - len(row))] for row in rows])


def prepared(batch):
    """Every index that a step needs, of a batch of drafts, targets and the oracle's matches of the draft's tokens."""
    rows = [[BOS, *x, EOS] for x in batch["drafts"]]
    kept_states, gap_left, gap_right, gap_rows, gap_counts, keep_at, flags = [], [], [], [], [], [], []
    masked_rows, fill_at, fill_targets, carry_tokens, carry_groups, carry_at = [], [], [], [], [], []
    most = max(map(len, rows))
    for r, (x, y, matches) in enumerate(zip(batch["drafts"], batch["targets"], batch["matches"])):
        kept = [i for i, j in enumerate(matches) if j >= 0]
        keep_at += [r * most + i + 1 for i in range(len(x))]
        flags += [float(j >= 0) for j in matches]
        states = [0, *[i + 1 for i in kept], len(x) + 1]
        gap_left += [r * most + i for i in states[:-1]]
        gap_right += [r * most + i for i in states[1:]]
        gap_rows += [r] * (len(kept) + 1)
        ends, edges = [-1, *[matches[i] for i in kept], len(y)], [-1, *kept, len(x)]
        masked = [BOS]
        for g in range(len(kept) + 1):
            missing = y[ends[g] + 1:ends[g + 1]][:c["maxInsert"]]
            dropped = x[edges[g] + 1:edges[g + 1]]
            gap_counts.append(len(missing))
            for k in range(len(missing)):
                start = k * len(dropped) // len(missing)
                part = dropped[start:max(start + 1, (k + 1) * len(dropped) // len(missing))]
                if part:
                    carry_tokens += part
                    carry_groups += [len(carry_at)] * len(part)
                    carry_at.append((r, len(masked)))
                fill_at.append((r, len(masked)))
                fill_targets.append(missing[k])
                masked.append(MASK)
            if g < len(kept):
                masked.append(x[kept[g]])
        masked_rows.append([*masked, EOS])
    fills = max(map(len, masked_rows))
    flat = lambda places: torch.tensor([r * fills + i for r, i in places], dtype=torch.long)
    groups = torch.tensor(carry_groups, dtype=torch.long)
    return {
        "tokens": padded(rows), "lengths": torch.tensor([len(row) for row in rows]),
        "keep_at": torch.tensor(keep_at), "keep_rows": torch.tensor([at // most for at in keep_at]),
        "flags": torch.tensor(flags), "draft_lengths": torch.tensor([float(len(x)) for x in batch["drafts"]]),
        "needs": torch.tensor([float(any(j < 0 for j in matches)) for matches in batch["matches"]]),
        "gap_left": torch.tensor(gap_left), "gap_right": torch.tensor(gap_right), "gap_rows": torch.tensor(gap_rows),
        "gap_counts": torch.tensor(gap_counts),
        "masked": padded(masked_rows), "masked_lengths": torch.tensor([len(row) for row in masked_rows]),
        "fill_at": flat(fill_at), "fill_targets": torch.tensor(fill_targets), "carry_at": flat(carry_at),
        "carry_tokens": torch.tensor(carry_tokens, dtype=torch.long), "carry_groups": groups,
        "carry_sizes": torch.bincount(groups, minlength=len(carry_at)).float()[:, None],
    }


def rms(x, weight):
    return F.rms_norm(x, (width,), weight, c["normEpsilon"])


def encoded(w, tokens, lengths, extra=None):
    """Hidden states [rows * length, width] of padded rows."""
    rows, most = tokens.shape
    there = torch.arange(most)[None] < lengths[:, None]
    x = F.embedding(tokens, w["embedding.weight"])
    if extra is not None:
        x = x + extra.view(rows, most, width)
    if c["localMix"] > 0:
        taps = w["encoder.mix.weight"].T[:, None]
        x = F.conv1d((x * there[..., None]).transpose(1, 2), taps, padding=c["localMix"] // 2, groups=width).transpose(1, 2)
    angle = torch.arange(most)[:, None] * c["ropeBase"] ** (-torch.arange(head // 2) / (head // 2))
    cos, sin = torch.cat([angle.cos()] * 2, -1), torch.cat([angle.sin()] * 2, -1)
    for i in range(c["layers"]):
        block = f"encoder.blocks.{i}."
        qkv = F.linear(rms(x, w[block + "attention_norm.weight"]), w[block + "attention.qkv.weight"])
        q, k, v = qkv.view(rows, most, 3, heads, head).permute(2, 0, 3, 1, 4)
        q, k = (part * cos + torch.cat([-part[..., head // 2:], part[..., :head // 2]], -1) * sin for part in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=there[:, None, None])
        x = x + F.linear(mixed.transpose(1, 2).reshape(rows, most, width), w[block + "attention.output.weight"])
        both = F.linear(rms(x, w[block + "feed_forward_norm.weight"]), w[block + "feed_forward.gate_up.weight"])
        gate, up = both.chunk(2, -1)
        x = x + F.linear(F.silu(gate) * up, w[block + "feed_forward.down.weight"])
    return rms(x, w["encoder.norm.weight"]).view(-1, width), there


def row_sums(values, rows, count):
    return torch.zeros(count).index_add(0, rows, values)


def loss(w, b, step):
    """The five terms of one round; test/golden/merge/make.py has the same, a row at a time in float64."""
    count = len(b["lengths"])
    hidden, there = encoded(w, b["tokens"], b["lengths"])
    keep_all = (hidden @ w["deleter.linear.weight"].T + w["deleter.linear.bias"]).squeeze(-1)
    keep = keep_all[b["keep_at"]]

    # The gate.
    by_row = hidden.view(count, -1, width)
    mean = (by_row * there[..., None]).sum(1) / b["lengths"][:, None]
    most = by_row.masked_fill(~there[..., None], -math.inf).amax(1)
    pooled = F.layer_norm(torch.cat([mean, most], -1), (2 * width,), w["gate.norm.weight"], w["gate.norm.bias"],
                          c["normEpsilon"])
    doubt = torch.log(math.exp(-10) + row_sums(torch.exp(-keep), b["keep_rows"], count))
    gate = pooled @ w["gate.linear.weight"][0] + w["gate.linear.bias"][0] + w["gate.doubt.weight"][0] * doubt

    # Deletions.
    p = row_sums(keep.sigmoid(), b["keep_rows"], count) / b["draft_lengths"]
    wanted = row_sums(b["flags"], b["keep_rows"], count) / b["draft_lengths"]
    near = p.clamp(1e-4, 1 - 1e-4)
    q = (1 - step["keepReduction"] * gate.detach().sigmoid()).clamp(1e-4, 1 - 1e-4)
    kl = (near * (near / q).log() + (1 - near) * ((1 - near) / (1 - q)).log()).mean()

    # Insertions.
    out = (hidden[b["gap_left"]] @ w["inserter.left.weight"].T + hidden[b["gap_right"]] @ w["inserter.right.weight"].T
           + w["inserter.bias"])
    score, counts = out[:, 0], out[:, 1:]
    top = torch.full((count,), -math.inf).scatter_reduce(0, b["gap_rows"], score.detach(), "amax")
    shifted = score - top[b["gap_rows"]]
    log_share = shifted - row_sums(shifted.exp(), b["gap_rows"], count).log()[b["gap_rows"]]
    entropy = -row_sums(log_share.exp() * log_share, b["gap_rows"], count).mean()

    # Fills.
    carried = F.embedding(b["carry_tokens"], w["embedding.weight"])
    means = torch.zeros(len(b["carry_at"]), width).index_add(0, b["carry_groups"], carried) / b["carry_sizes"]
    extra = torch.zeros(b["masked"].numel(), width).index_add(0, b["carry_at"], means @ w["carry.weight"].T)
    filled, _ = encoded(w, b["masked"], b["masked_lengths"], extra)
    logits = filled[b["fill_at"]] @ w["embedding.weight"].T

    terms = {
        "Recon": F.cross_entropy(logits, b["fill_targets"], label_smoothing=step["labelSmoothing"]),
        "Compression": F.binary_cross_entropy_with_logits(keep, b["flags"]) + step["keepKl"] * kl,
        "Pointer": F.cross_entropy(counts, b["gap_counts"], label_smoothing=step["countSmoothing"])
        - step["scoreEntropy"] * entropy,
        "Gate": F.binary_cross_entropy_with_logits(gate, b["needs"]) + step["gateCost"] * gate.sigmoid().mean(),
        "Length": ((p - wanted) ** 2).mean(),
    }
    return sum(step["weight" + name] * term for name, term in terms.items())


print(json.dumps({"versions": {"torch": torch.__version__}}), flush=True)
first = json.loads(sys.stdin.readline())
batches = [prepared(batch) for batch in first["batches"]]
w = {name: value.requires_grad_(True) for name, value in load_file(first["weights"]).items()}
print(json.dumps({"seconds": 0}), flush=True)
optimizer = None
for line in sys.stdin:
    step = json.loads(line)
    if optimizer is None:
        groups = [{"params": [v for v in w.values() if v.dim() > 1], "weight_decay": step["weightDecay"]},
                  {"params": [v for v in w.values() if v.dim() == 1], "weight_decay": 0}]
        optimizer = torch.optim.AdamW(groups, betas=(step["beta1"], step["beta2"]), eps=step["epsilon"], fused=True)
    for group in optimizer.param_groups:
        group["lr"] = step["learningRate"]
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    total = loss(w, batches[step["batch"]], step)
    total.backward()
    torch.nn.utils.clip_grad_norm_(list(w.values()), step["clip"])
    optimizer.step()
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "total": total.item(),
                      "peakMemoryMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)
