"""Golden values of torch's interpolate and of diffusers' IP-Adapter masks, written to packages/engine/test/golden/data/interpolate.json.

    python scripts/golden/interpolate.py
"""

import json
import pathlib
import warnings

import torch
from diffusers.image_processor import IPAdapterMaskProcessor

DATA = pathlib.Path(__file__).resolve().parents[2] / "packages/engine/test/golden/data"
SIZES = [((7, 5), (3, 9)), ((6, 8), (6, 8)), ((16, 12), (5, 4)), ((3, 2), (8, 8)), ((1, 4), (2, 3)), ((33, 20), (4, 2))]
# Picture (height, width) and number of queries; the last two do not fit the picture's proportions.
MASKS = [((48, 64), 192), ((48, 64), 48), ((40, 72), 45), ((40, 72), 15), ((64, 64), 50), ((32, 96), 20)]

REGIONS = [((128, 192), 24), ((128, 192), 96), ((64, 64), 64)]


def values(seed, *shape):
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed)).float() / 255


def rounded(tensor):
    return [round(value, 7) for value in tensor.flatten().tolist()]


def main():
    warnings.simplefilter("ignore")
    maps = []
    for seed, (size, target) in enumerate(SIZES):
        for mode in ("bilinear", "bicubic"):
            source = values(seed, 1, 1, *size)
            result = torch.nn.functional.interpolate(source, size=target, mode=mode)
            maps.append({"size": size, "target": target, "mode": mode, "bytes": (source * 255).round().int().flatten().tolist(), "expected": rounded(result)})
    masks = []
    for seed, (size, queries) in enumerate(MASKS):
        mask = (values(100 + seed, 1, size[0] // 8, size[1] // 8) > 0.5).float().repeat_interleave(8, 1).repeat_interleave(8, 2)
        small = IPAdapterMaskProcessor.downsample(mask, 1, queries, 1)
        masks.append({"size": size, "queries": queries, "blocks": mask[0, ::8, ::8].int().flatten().tolist(), "expected": rounded(small)})
    region_masks = []
    for seed, (size, queries) in enumerate(REGIONS):
        mask = (values(200 + seed, 1, size[0] // 8, size[1] // 8) > 0.5).float().repeat_interleave(8, 1).repeat_interleave(8, 2)
        # InstantID, ip_adapter/attention_processor.py: region control.
        ratio = (size[0] * size[1] / queries) ** 0.5
        small = torch.nn.functional.interpolate(mask[None], scale_factor=1 / ratio, mode="nearest").reshape(1, -1, 1)
        region_masks.append({"size": size, "queries": queries, "blocks": mask[0, ::8, ::8].int().flatten().tolist(), "expected": rounded(small)})
    (DATA / "interpolate.json").write_text(json.dumps({"torch": torch.__version__, "maps": maps, "masks": masks, "region_masks": region_masks}) + "\n")


if __name__ == "__main__":
    main()
