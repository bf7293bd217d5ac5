# Writes maskgit.safetensors and maskgit.json: a small random mask-predict model, and what a float64 twin in PyTorch says of
# it. The twin is written as the paper has it, an encoder of sources and a decoder of targets that attends to both, with one
# set of weights: logits at every position of targets, logits of length differences, the two losses, and the losses of three
# steps of AdamW.
# Made with Python 3.11, torch 2.13.0 (CPU), safetensors 0.8.0:
#   python3 -m pip install torch==2.13.0 safetensors==0.8.0 && python3 test/golden/baselines/maskgit.py
import json
import math
import os

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

here = os.path.dirname(os.path.abspath(__file__))
config = {"family": "maskgit", "layers": 2, "width": 16, "heads": 4, "keyHeads": 2, "feedForward": 24, "maxLength": 12,
          "ropeBase": 10000, "normEpsilon": 1e-5, "tiedHead": False, "weightDtype": "float32", "dtype": "float32",
          "device": "cpu", "matmulPrecision": "highest", "vocabulary": 18, "seed": 0, "start": "random", "mask": 3,
          "lengthRange": 3}
BOS, SEP, MASK, RANGE = 1, 4, config["mask"], config["lengthRange"]
D, H, G = config["width"], config["heads"], config["keyHeads"]
K = D // H

generator = torch.Generator().manual_seed(7)
weights = {}


def add(name, *shape, around=0.0, deviation=None):
    noise = torch.randn(*shape, generator=generator)
    weights[name] = around + noise * (1 / math.sqrt(D) if deviation is None else deviation)


add("embedding.weight", config["vocabulary"], D, deviation=1)
for i in range(config["layers"]):
    block = f"token.blocks.{i}"
    add(block + ".attention_norm.weight", D, around=1, deviation=0.2)
    add(block + ".attention.qkv.weight", D + 2 * G * K, D)
    add(block + ".attention.output.weight", D, D)
    add(block + ".feed_forward_norm.weight", D, around=1, deviation=0.2)
    add(block + ".feed_forward.gate_up.weight", 2 * config["feedForward"], D)
    add(block + ".feed_forward.down.weight", D, config["feedForward"])
add("token.norm.weight", D, around=1, deviation=0.2)
add("head.weight", config["vocabulary"], D)
add("target.weight", D, deviation=1)
add("length.weight", 2 * RANGE + 1, D)
w = {name: value.double().requires_grad_() for name, value in weights.items()}


def rms(x, name):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + config["normEpsilon"]) * w[name]


def rotate(x, positions):
    """Halves of a head as real and imaginary parts (LLaMA)."""
    rates = config["ropeBase"] ** (-torch.arange(0, K, 2, dtype=torch.float64) / K)
    angles = positions[:, None] * rates
    real, imaginary = x.chunk(2, -1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([real * cos - imaginary * sin, imaginary * cos + real * sin], -1)


def block(x, positions, memory, name):
    """One block; `memory`: keys and values of the source, none for the source itself."""
    qkv = rms(x, name + ".attention_norm.weight") @ w[name + ".attention.qkv.weight"].T
    q, k, v = (part.view(len(x), -1, K).transpose(0, 1) for part in qkv.split([D, G * K, G * K], -1))
    q, k = rotate(q, positions), rotate(k, positions)
    kept = (k, v)
    if memory is not None:
        k, v = torch.cat([memory[0], k], 1), torch.cat([memory[1], v], 1)
    k, v = (part.repeat_interleave(H // G, 0) for part in (k, v))
    mixed = ((q @ k.transpose(1, 2) / math.sqrt(K)).softmax(-1) @ v).transpose(0, 1).reshape(len(x), D)
    x = x + mixed @ w[name + ".attention.output.weight"].T
    gate, up = (rms(x, name + ".feed_forward_norm.weight") @ w[name + ".feed_forward.gate_up.weight"].T).chunk(2, -1)
    return x + (F.silu(gate) * up) @ w[name + ".feed_forward.down.weight"].T, kept


def run(tokens, positions, added, memories):
    x = F.embedding(torch.tensor(tokens), w["embedding.weight"]) + added
    kept = []
    for i in range(config["layers"]):
        x, pair = block(x, torch.tensor(positions, dtype=torch.float64), memories[i], f"token.blocks.{i}")
        kept.append(pair)
    return rms(x, "token.norm.weight"), kept


def pair(source, target):
    """Logits of length differences, and of the target's tokens."""
    hidden, memories = run(source, range(len(source)), 0, [None] * config["layers"])
    lengths = hidden[0] @ w["length.weight"].T
    hidden, _ = run(target, range(1, 1 + len(target)), w["target.weight"], memories)
    return lengths, hidden @ w["head.weight"].T


def losses(sources, drafts, targets, smoothing):
    token, length, masks, measured = 0, 0, 0, 0
    for source, draft, target in zip(sources, drafts, targets):
        differences, logits = pair(source, draft)
        for place, (shown, right) in enumerate(zip(draft, target)):
            if shown != MASK:
                continue
            chances = logits[place].log_softmax(-1)
            token = token - (1 - smoothing) * chances[right] - smoothing * chances.mean()
            masks += 1
        if len(source) > 1:
            label = RANGE + min(RANGE, max(-RANGE, len(target) - (len(source) - 2)))
            length = length - differences.log_softmax(-1)[label]
            measured += 1
    return token / masks, length / measured


sources = [[BOS, 7, 8, 9, SEP], [BOS], [BOS, 12, SEP], [BOS, 5, 6, 5, 17, 11, SEP]]
targets = [[7, 9, 9, 10], [13, 14], [12, 5, 6, 7, 8, 9], [5]]
drafts = [[7, MASK, 9, MASK], [MASK, MASK], [MASK, 5, 6, MASK, MASK, 9], [MASK]]
step = {"weightLength": 0.3, "labelSmoothing": 0.1, "learningRate": 0.01}

with torch.no_grad():
    said = [pair(source, draft) for source, draft in zip(sources, drafts)]
first = losses(sources, drafts, targets, step["labelSmoothing"])
optimizer = torch.optim.AdamW(w.values(), lr=step["learningRate"], betas=(0.9, 0.95), eps=1e-8, weight_decay=0)
totals = []
for _ in range(3):
    token, length = losses(sources, drafts, targets, step["labelSmoothing"])
    total = token + step["weightLength"] * length
    totals.append(total.item())
    optimizer.zero_grad()
    total.backward()
    optimizer.step()

save_file(weights, os.path.join(here, "maskgit.safetensors"), metadata={"format": "merge-lm"})
with open(os.path.join(here, "maskgit.json"), "w") as file:
    flat = lambda parts: [round(x, 7) for part in parts for x in part.flatten().tolist()]
    json.dump({"config": config, "sources": sources, "targets": targets, "drafts": drafts, "step": step,
               "length": flat(lengths for lengths, _ in said), "logits": flat(logits for _, logits in said),
               "token": first[0].item(), "lengthLoss": first[1].item(), "totals": totals}, file)
    file.write("\n")
