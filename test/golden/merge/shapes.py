# The shapes of the golden models of make.py, and the step that trains them.
PAD, BOS, EOS, MASK, SEP = range(5)

# The usual shape; another head count, rope base and epsilon; the one with everything switched off; shared key heads with
# relative positions; absolute positions.
common = {"family": "merge", "profile": "aligned", "countSource": "counts", "pad": PAD, "bos": BOS, "eos": EOS,
          "mask": MASK, "sep": SEP, "encodings": "two", "norm": "rms", "normPlace": "before", "embeddingNorm": False,
          "biases": "none", "activation": "swiglu", "head": "tied", "attentionWindow": 0, "globalEvery": 1,
          "localRopeBase": 10000, "activationCheckpointing": False, "dtype": "float32", "device": "cpu",
          "matmulPrecision": "highest", "seed": 1}
shapes = {
    "usual": {"vocabulary": 29, "width": 16, "layers": 2, "heads": 2, "keyHeads": 2, "feedForward": 24, "maxLength": 24,
              "maxInsert": 4, "localMix": 7, "positions": "rope", "ropeBase": 10000, "normEpsilon": 1e-5,
              "deleter": "block", "inserter": "block", "gateFeatures": "doubt", "condition": "carry"},
    "other": {"vocabulary": 41, "width": 24, "layers": 2, "heads": 3, "keyHeads": 3, "feedForward": 32, "maxLength": 32,
              "maxInsert": 6, "localMix": 3, "positions": "rope", "ropeBase": 500, "normEpsilon": 1e-3,
              "deleter": "block", "inserter": "linear", "gateFeatures": "doubt", "condition": "carry"},
    "plain": {"vocabulary": 37, "width": 12, "layers": 1, "heads": 1, "keyHeads": 1, "feedForward": 20, "maxLength": 24,
              "maxInsert": 3, "localMix": 0, "positions": "rope", "ropeBase": 10000, "normEpsilon": 1e-6,
              "deleter": "linear", "inserter": "linear", "gateFeatures": "mean", "condition": "none"},
    "relative": {"vocabulary": 29, "width": 16, "layers": 2, "heads": 4, "keyHeads": 2, "feedForward": 24,
                 "maxLength": 160, "maxInsert": 4, "localMix": 0, "positions": "relative", "ropeBase": 10000,
                 "normEpsilon": 1e-5, "deleter": "block", "inserter": "block", "gateFeatures": "doubt",
                 "condition": "carry"},
    "absolute": {"vocabulary": 29, "width": 12, "layers": 1, "heads": 2, "keyHeads": 1, "feedForward": 20,
                 "maxLength": 24, "maxInsert": 4, "localMix": 3, "positions": "absolute", "ropeBase": 10000,
                 "normEpsilon": 1e-5, "deleter": "block", "inserter": "block", "gateFeatures": "doubt",
                 "condition": "carry"},
}
step = {"task": "merge", "frozenLayers": 0, "maskFrom": 0.15, "maskTo": 0.5, "seed": 5, "rounds": 1, "learningRate": 1e-2, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-6, "weightDecay": 0.1,
        "clip": 0.5, "weightRecon": 1, "weightCompression": 0.5, "weightPointer": 0.4, "weightGate": 0.3,
        "weightLength": 0.2, "keepReduction": 0.2, "keepKl": 0.1, "countSmoothing": 0.02, "scoreEntropy": 0.05,
        "gateCost": 0.05, "labelSmoothing": 0.1, "gateNoise": 0, "ownDeletion": 0, "subsequence": 0, "ownFill": 0,
        "accumulation": 1, "gradient": "stop", "window": 1, "deletion": "hard", "firstRound": "gate",
        "editThreshold": 0.5, "axePenalty": 1, "reconstruction": "oracle", "temperature": 1}
