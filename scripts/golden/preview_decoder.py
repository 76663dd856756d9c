"""Golden output of diffusers' AutoencoderTiny, written to packages/engine/test/golden/data/models/.

    python scripts/golden/preview_decoder.py
"""

import json

import torch
from diffusers import AutoencoderTiny
from models import DATA, TOLERANCE, VERSIONS
from safetensors.torch import save_file

torch.manual_seed(1)
model = AutoencoderTiny(
    latent_channels=4, encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8),
    num_encoder_blocks=(0, 1, 1), num_decoder_blocks=(1, 2, 0),
).eval()  # fmt: skip
folder = DATA / "preview-decoder"
model.save_pretrained(folder)
latents = torch.randn(2, 4, 5, 6) * 2
with torch.no_grad():
    expected = model.decode(latents).sample
case = {"weights": "models/preview-decoder", **TOLERANCE, "versions": VERSIONS}
save_file(
    {"latents": latents, "expected.image": expected.contiguous()},
    DATA / "preview-decoder.safetensors",
    {"case": json.dumps(case)},
)
