# Peer of the encoder: the same blocks in plain PyTorch, over padded rows, eager or by torch.compile. Answers a line of JSON
# for each on stdin: {"rows": [[ids]], "way": "eager" | "compile"} -> {"seconds": s, "peakMemoryMb": m} or {"error": why}.
import json
import resource
import sys
import time

import torch
import torch.nn.functional as F

options = json.loads(sys.argv[1])
torch.set_num_threads(options["threads"])
torch.manual_seed(0)
dtype = getattr(torch, options["dtype"])
width, heads, inner = options["width"], options["heads"], options["feedForward"]
head = width // heads


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm, self.feed_forward_norm = torch.nn.RMSNorm(width), torch.nn.RMSNorm(width)
        self.qkv, self.output = torch.nn.Linear(width, 3 * width, False), torch.nn.Linear(width, width, False)
        self.gate_up, self.down = torch.nn.Linear(width, 2 * inner, False), torch.nn.Linear(inner, width, False)

    def forward(self, x, cos, sin, mask):
        rows, length, _ = x.shape
        q, k, v = self.qkv(self.attention_norm(x)).view(rows, length, 3, heads, head).permute(2, 0, 3, 1, 4)
        q, k = (part * cos + torch.cat([-part[..., head // 2:], part[..., :head // 2]], -1) * sin for part in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.output(mixed.transpose(1, 2).reshape(rows, length, width))
        gate, up = self.gate_up(self.feed_forward_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Encoder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(options["vocabulary"], width)
        self.blocks = torch.nn.ModuleList(Block() for _ in range(options["layers"]))
        self.norm = torch.nn.RMSNorm(width)

    def forward(self, tokens, cos, sin, mask):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        return self.norm(x)


def padded(rows):
    """Tokens, angles, and a mask where rows are of different lengths."""
    lengths = [len(row) for row in rows]
    most = max(lengths)
    tokens = torch.tensor([row + [0] * (most - len(row)) for row in rows])
    angle = torch.arange(most)[:, None] * 10000 ** (-torch.arange(head // 2) / (head // 2))
    cos, sin = (torch.cat([part, part], -1).to(dtype) for part in (angle.cos(), angle.sin()))
    is_there = torch.arange(most)[None] < torch.tensor(lengths)[:, None]
    return tokens, cos, sin, None if min(lengths) == most else is_there[:, None, None]


model = Encoder().to(dtype).eval()
ways = {"eager": model, "compile": torch.compile(model)}
print(json.dumps({"versions": {"torch": torch.__version__}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        with torch.inference_mode():
            start = time.perf_counter()
            ways[request["way"]](*padded(request["rows"]))
            seconds = time.perf_counter() - start
    except Exception as error:  # torch.compile needs a compiler, which not every machine has
        print(json.dumps({"error": f"{type(error).__name__} in {request['way']}"}), flush=True)
        continue
    print(json.dumps({"seconds": seconds,
                      "peakMemoryMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)
