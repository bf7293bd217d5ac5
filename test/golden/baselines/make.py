# Writes llama.json: what Hugging Face transformers says of the small random LLaMA in test/golden/import/llama, read with
# its causal mask: logits of a few rows at every position, and greedy continuations of prompts by generate() with cache.
# Made with Python 3.11, torch 2.13.0 (CPU), transformers 5.23.0:
#   python3 -m pip install torch==2.13.0 transformers==5.23.0 && python3 test/golden/baselines/make.py
import json
import os

import torch
from transformers import LlamaForCausalLM

here = os.path.dirname(os.path.abspath(__file__))
model = LlamaForCausalLM.from_pretrained(os.path.join(here, "../import/llama"), dtype=torch.float32,
                                         attn_implementation="eager").eval()
rows = [[1, 5, 9, 3, 14, 2], [1, 8], [16, 4, 4, 12, 7, 11, 6, 13, 3]]
prompts = [[1, 5, 9], [1], [1, 8, 4, 12, 7, 11], [1, 16, 10, 3]]
with torch.no_grad():
    logits = [model(input_ids=torch.tensor([row])).logits[0].flatten().tolist() for row in rows]
    answers = [model.generate(torch.tensor([prompt]), max_new_tokens=20, do_sample=False, use_cache=True,
                              pad_token_id=0)[0, len(prompt):].tolist() for prompt in prompts]
with open(os.path.join(here, "llama.json"), "w") as file:
    json.dump({"rows": rows, "logits": [[round(x, 6) for x in row] for row in logits], "prompts": prompts,
               "answers": answers}, file)
    file.write("\n")
