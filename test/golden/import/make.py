# Makes one folder for each kind of published model: small random weights as Hugging Face transformers writes them, a
# tokenizer, and expected.json: what transformers says about a few rows, the logits at every position.
# LLaMA's relatives run without their causal mask (a full 4-D mask of zeros), as the encoder reads them.
# Made with Python 3.11, torch 2.13.0 (CPU), transformers 5.23.0, tokenizers 0.23.3, safetensors 0.8.0:
#   python3 -m pip install torch==2.13.0 transformers==5.23.0 && python3 test/golden/import/make.py
import json
import os
import shutil

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (BertConfig, BertForMaskedLM, BertModel, LlamaConfig, LlamaForCausalLM, MistralConfig,
                          MistralForCausalLM, ModernBertConfig, ModernBertForMaskedLM, Qwen2Config, Qwen2ForCausalLM)

here = os.path.dirname(os.path.abspath(__file__))
words = "the cat sat on a mat and saw one red dog run far off".split()
shape = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 4}
sentencepiece = ["<unk>", "<s>", "</s>"]
wordpiece = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def randomize(model, generator):
    """Values large enough that every part of the model shows in the logits."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            if "norm" in name.lower() and name.endswith("weight"):
                value.copy_(1 + 0.3 * noise)
            else:
                value.copy_(noise * (0.3 if value.dim() > 1 else 0.2))


def tokenizer(special, folder):
    vocabulary = {word: i for i, word in enumerate([*special, *words])}
    unknown = next(word for word in special if "unk" in word.lower())
    made = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.add_special_tokens(special)
    made.save(os.path.join(folder, "tokenizer.json"), pretty=False)


def logits_of(model, rows, ends, causal):
    out = []
    for row in rows:
        ids = torch.tensor([[ends[0], *row, ends[1]]])
        mask = torch.zeros(1, 1, ids.shape[1], ids.shape[1]) if causal else None
        out.append(model(input_ids=ids, attention_mask=mask).logits[0])
    return torch.cat(out)


def make(name, model, special, causal, dtype=torch.float32, **saving):
    folder = os.path.join(here, name)
    shutil.rmtree(folder, ignore_errors=True)
    generator = torch.Generator().manual_seed(len(name))
    randomize(model, generator)
    model.to(dtype).save_pretrained(folder, **saving)
    os.path.exists(path := os.path.join(folder, "generation_config.json")) and os.remove(path)
    tokenizer(special, folder)
    # As transformers reads it back: rounded weights, everything else in float32.
    model = type(model).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    first = len(special)
    known = first + len(words)
    rows = [torch.randint(first, known, (n,), generator=generator).tolist() for n in (0, 1, 5, 11)]
    ends = (special.index("<s>"), special.index("</s>")) if causal else (special.index("[CLS]"), special.index("[SEP]"))
    with torch.no_grad():
        if isinstance(model, BertModel):  # no head: that of the embedding
            logits = torch.cat([model(torch.tensor([[ends[0], *row, ends[1]]])).last_hidden_state[0] for row in rows])
            logits = logits @ model.embeddings.word_embeddings.weight.T
        else:
            logits = logits_of(model, rows, ends, causal)
    # Every position sees the whole row: another last token changes the first position.
    if causal:
        changed = [[*rows[2][:-1], (rows[2][-1] - first + 1) % len(words) + first]]
        with torch.no_grad():
            a, b = logits_of(model, [rows[2]], ends, True), logits_of(model, changed, ends, True)
        assert (a[0] - b[0]).abs().max() > 1e-3, name
    with open(os.path.join(folder, "expected.json"), "w", encoding="ascii") as file:
        values = [float(f"{value:.7g}") for value in logits[:, :known].flatten().tolist()]
        json.dump({"rows": rows, "ends": ends, "known": known, "logits": values}, file, separators=(",", ":"))
        file.write("\n")
    size = sum(os.path.getsize(os.path.join(folder, each)) for each in os.listdir(folder))
    print(f"{name}: {size} bytes, {sorted(os.listdir(folder))}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    plain, pieces = len(sentencepiece) + len(words), len(wordpiece) + len(words)
    eager = {"attn_implementation": "eager"}
    make("llama", LlamaForCausalLM(LlamaConfig(
        vocab_size=plain, num_hidden_layers=2, num_key_value_heads=2, max_position_embeddings=32, rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0}, tie_word_embeddings=False, **shape, **eager)),
        sentencepiece, causal=True)
    # More rows than tokens, as where a vocabulary is padded; tied; in shards.
    make("mistral", MistralForCausalLM(MistralConfig(
        vocab_size=plain + 7, num_hidden_layers=2, num_key_value_heads=1, max_position_embeddings=32,
        sliding_window=16, tie_word_embeddings=True, **shape, **eager)),
        sentencepiece, causal=True, max_shard_size="8KB")
    make("qwen2", Qwen2ForCausalLM(Qwen2Config(
        vocab_size=plain, num_hidden_layers=2, num_key_value_heads=2, max_position_embeddings=32,
        tie_word_embeddings=True, **shape, **eager)),
        sentencepiece, causal=True, dtype=torch.bfloat16)
    make("bert", BertForMaskedLM(BertConfig(
        vocab_size=pieces, num_hidden_layers=2, max_position_embeddings=24, **shape, **eager)),
        wordpiece, causal=False)
    make("bert-model", BertModel(BertConfig(
        vocab_size=pieces, num_hidden_layers=1, max_position_embeddings=16, **shape, **eager)),
        wordpiece, causal=False, dtype=torch.float16)
    make("modernbert", ModernBertForMaskedLM(ModernBertConfig(
        vocab_size=pieces, num_hidden_layers=4, max_position_embeddings=32, local_attention=6, pad_token_id=0,
        bos_token_id=2, cls_token_id=2, eos_token_id=3, sep_token_id=3, **shape, **eager)),
        wordpiece, causal=False)
