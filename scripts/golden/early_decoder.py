"""Golden output of a early decoder, written to packages/engine/test/golden/data/early-decoder/.

    python scripts/golden/early_decoder.py       (after checkpoints.py)

A head with random weights on the autoencoder of tiny-sd15: what the levels below it give, and the picture, by the module that `training/`
trains.
"""

import json
import pathlib
import sys

import diffusers
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "training"))
from pinhole_training import early_decoder  # noqa: E402

GOLDEN = ROOT / "packages/engine/test/golden/data"
DATA = GOLDEN / "early-decoder"
CONFIG = {"_class_name": "EarlyDecoder", "level": 1, "width": 6, "pixel_shuffle": 2}

early_decoder.LEVEL, early_decoder.WIDTH, early_decoder.SHUFFLE = (CONFIG[key] for key in ("level", "width", "pixel_shuffle"))
torch.manual_seed(0)
vae = AutoencoderKL.from_pretrained(GOLDEN / "checkpoints/tiny-sd15/vae", torch_dtype=torch.float32)
latents = torch.randn(2, vae.config.latent_channels, 6, 4)
with torch.no_grad():
    features = early_decoder.features_of(vae, latents)
    head = early_decoder.EarlyHead(features.shape[1], vae.config.norm_num_groups)
    torch.nn.init.normal_(head.norm.weight, 1, 0.3)
    torch.nn.init.normal_(head.norm.bias, 0, 0.3)
    picture = head(features)

DATA.mkdir(parents=True, exist_ok=True)
(DATA / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
save_file(head.state_dict(), DATA / "diffusion_pytorch_model.safetensors")
case = {
    "weights": "early-decoder", "tolerance": 2e-5,
    "tolerance_reason": "largest difference over largest value; float32 kernels add in other orders",
    "torch": torch.__version__, "diffusers": diffusers.__version__,
}  # fmt: skip
tensors = {"latents": latents, "expected.features": features, "expected.image": picture}
save_file({key: value.contiguous() for key, value in tensors.items()}, DATA / "case.safetensors", metadata={"case": json.dumps(case)})
