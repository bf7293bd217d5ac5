# Peer of GPT: Hugging Face LLaMA, `generate` with cache, greedy. Writes a random checkpoint into the folder, then answers a
# line of JSON for each on stdin: {"rows": [[ids]], "newTokens": n} -> {"seconds": s, "tokens": [[ids]], "peakMemoryMb": m}.
import json
import resource
import sys
import time

import torch
import transformers
from transformers import LlamaConfig, LlamaForCausalLM

options = json.loads(sys.argv[1])
torch.set_num_threads(options["threads"])
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=options["vocabulary"], hidden_size=options["width"], num_hidden_layers=options["layers"],
    num_attention_heads=options["heads"], num_key_value_heads=options["heads"],
    intermediate_size=options["feedForward"], max_position_embeddings=options["maxLength"],
    bos_token_id=None, eos_token_id=None, pad_token_id=0)).eval()
with torch.no_grad():
    for value in model.parameters():
        if value.dim() > 1:
            value.normal_(0, value.shape[1] ** -0.5)  # logits far enough apart that rounding decides no token
model.save_pretrained(options["folder"])
model = model.to(getattr(torch, options["dtype"]))
print(json.dumps({"versions": {"torch": torch.__version__, "transformers": transformers.__version__}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    ids = torch.tensor(request["rows"])
    new = request["newTokens"]
    with torch.inference_mode():
        start = time.perf_counter()
        out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, use_cache=True,
                             min_new_tokens=new, max_new_tokens=new)
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "tokens": out[:, ids.shape[1]:].tolist(),
                      "peakMemoryMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}), flush=True)
