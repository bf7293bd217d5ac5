# The encoder's blocks in plain PyTorch, over padded rows.
import torch
import torch.nn.functional as F


class Block(torch.nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads, self.head = heads, width // heads
        self.attention_norm, self.feed_forward_norm = torch.nn.RMSNorm(width), torch.nn.RMSNorm(width)
        self.qkv, self.output = torch.nn.Linear(width, 3 * width, False), torch.nn.Linear(width, width, False)
        self.gate_up, self.down = torch.nn.Linear(width, 2 * inner, False), torch.nn.Linear(inner, width, False)

    def forward(self, x, cos, sin, mask):
        rows, length, width = x.shape
        half = self.head // 2
        q, k, v = self.qkv(self.attention_norm(x)).view(rows, length, 3, self.heads, self.head).permute(2, 0, 3, 1, 4)
        q, k = (part * cos + torch.cat([-part[..., half:], part[..., :half]], -1) * sin for part in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.output(mixed.transpose(1, 2).reshape(rows, length, width))
        gate, up = self.gate_up(self.feed_forward_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Encoder(torch.nn.Module):
    """Of the fields layers, width, heads, feedForward, vocabulary and dtype, with the weights of seed 0."""

    def __init__(self, options):
        super().__init__()
        torch.manual_seed(0)
        width, heads = options["width"], options["heads"]
        self.embedding = torch.nn.Embedding(options["vocabulary"], width)
        self.blocks = torch.nn.ModuleList(Block(width, heads, options["feedForward"]) for _ in range(options["layers"]))
        self.norm = torch.nn.RMSNorm(width)
        self.head = width // heads
        self.to(getattr(torch, options["dtype"])).eval()

    def forward(self, tokens, cos, sin, mask=None):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, cos, sin, mask)
        return self.norm(x)

    def padded(self, rows):
        """Tokens, angles, and a mask where rows are of different lengths."""
        lengths, half = [len(row) for row in rows], self.head // 2
        most, dtype = max(lengths), self.norm.weight.dtype
        tokens = torch.tensor([row + [0] * (most - len(row)) for row in rows])
        angle = torch.arange(most)[:, None] * 10000 ** (-torch.arange(half) / half)
        cos, sin = (torch.cat([part, part], -1).to(dtype) for part in (angle.cos(), angle.sin()))
        is_there = torch.arange(most)[None] < torch.tensor(lengths)[:, None]
        return tokens, cos, sin, None if min(lengths) == most else is_there[:, None, None]
