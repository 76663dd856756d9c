"""Golden values of torch's CPU generator, written to packages/engine/test/golden/data/random.json.

    python scripts/golden/random.py            small cases and hashes of 1,000,003 normals
    python scripts/golden/random.py --bench    also prints the hashes of 10,000,000 normals that
                                               bench/engine/random-parity.ts compares with
"""

import base64
import hashlib
import json
import pathlib
import sys

import torch

DATA = pathlib.Path(__file__).parents[2] / "packages/engine/test/golden/data/random.json"
SEEDS = [0, 42, 987654321, 2**32 + 7, 2**64 - 1]
# Each sequence draws from one generator, so that the cached normal of short draws survives long ones.
SEQUENCES = [
    [("randn", [8]), ("rand", [4]), ("randn", [16])],
    [("randn", [1]), ("randn", [16]), ("randn", [2]), ("randn", [3]), ("randn", [15]), ("randn", [15])],
    [("randn", [17]), ("randn", [31]), ("randn", [32]), ("randn", [33]), ("randn", [0]), ("randn", [])],
    [("rand", [1]), ("rand", [3, 5]), ("randn", [1, 4, 5, 7]), ("rand", [700]), ("randn", [2, 4, 8, 8])],
    # A uniform that is zero makes a pair of normals that are zero: torch gives +0, the product alone -0.
    [("randn", [16])],
    [("randn", [16])],
]
SEQUENCE_SEEDS = [0, 42, 2**32 + 7, -3, 2**63, 1234567890123, 0xFFFFFFFF, 1, 1753191, 5528393]


def sha256(tensor):
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


def generator(seed):
    return torch.Generator("cpu").manual_seed(seed)


def draw(sequence, seed):
    source = generator(seed)
    draws = []
    for method, shape in sequence:
        values = getattr(torch, method)(shape, generator=source)
        draws.append({"method": method, "shape": shape, "float32": base64.b64encode(values.numpy().tobytes()).decode()})
    return {"seed": str(seed), "draws": draws}


def main():
    torch.set_num_threads(1)
    hashes = [
        {"seed": str(seed), "count": 1_000_003, "sha256": sha256(torch.randn(1_000_003, generator=generator(seed)))}
        for seed in SEEDS
    ]
    golden = {
        "versions": {"torch": torch.__version__, "cpu_capability": torch.backends.cpu.get_cpu_capability()},
        "tolerance": "none: bits of little-endian float32",
        "sequences": [draw(sequence, seed) for sequence, seed in zip(SEQUENCES[:4] + SEQUENCES, SEQUENCE_SEEDS)],
        "randn_hashes": hashes,
    }
    DATA.write_text(json.dumps(golden, indent=1) + "\n")
    if "--bench" in sys.argv:
        for seed in SEEDS:
            print(f"[{seed}n, '{sha256(torch.randn(10_000_000, generator=generator(seed)))}'],")


main()
