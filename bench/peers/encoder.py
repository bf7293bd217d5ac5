# Peer of the encoder: the same blocks in plain PyTorch, over padded rows, eager or by torch.compile. Answers a line of JSON
# for each on stdin: {"rows": [[ids]], "way": "eager" | "compile"} -> {"seconds": s, "peakMemoryMb": m} or {"error": why}.
# {"rows": [[ids]], "onnx": folder} -> {"inputs": {name: shape}} in the same way: what onnx.mjs reads.
import json
import logging
import pathlib
import resource
import sys
import time
import warnings

import torch

from encoder_model import Encoder

options = json.loads(sys.argv[1])
torch.set_num_threads(options["threads"])
model = Encoder(options)
ways = {"eager": model, "compile": torch.compile(model)}


def run(request):
    start = time.perf_counter()
    with torch.inference_mode():
        ways[request["way"]](*model.padded(request["rows"]))
    return {"seconds": time.perf_counter() - start}


def export(request):
    """The model for rows of this shape; a file of raw bytes for each of its inputs and for what it answers."""
    logging.disable(logging.WARNING)  # it says what it could export besides
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    folder = pathlib.Path(request["onnx"])
    names = ["tokens", "cos", "sin", "mask"]
    inputs = {name: value for name, value in zip(names, model.padded(request["rows"])) if value is not None}
    with torch.no_grad():
        hidden = model(*inputs.values())
        torch.onnx.export(model, tuple(inputs.values()), folder / "encoder.onnx", input_names=list(inputs),
                          output_names=["hidden"], dynamo=True, verbose=False)
    for name, value in {**inputs, "hidden": hidden}.items():
        (folder / name).write_bytes(value.contiguous().numpy().tobytes())
    return {"seconds": time.perf_counter() - start, "inputs": {name: list(value.shape) for name, value in inputs.items()}}


print(json.dumps({"versions": {"torch": torch.__version__}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = export(request) if "onnx" in request else run(request)
    except Exception as error:  # torch.compile needs a compiler, which not every machine has
        answer = {"error": f"{type(error).__name__} in {request.get('way', 'export')}"}
    else:
        answer["peakMemoryMb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(answer), flush=True)
