"""fal_client and huggingface_hub with nothing but a key, on a machine where fal's host names lead to the server.

Expects FAL_KEY, SSL_CERT_FILE and HTTPS_PROXY; the proxy plays the hosts file.
"""

import io
import json
import os

import fal_client
from huggingface_hub import InferenceClient
from huggingface_hub.hf_api import InferenceProviderMapping
from huggingface_hub.inference._providers import _common
from PIL import Image

DRAW = "fal-ai/fast-lcm-diffusion"
REDRAW = "fal-ai/fast-lcm-diffusion/image-to-image"


def offer(model, provider_id, task, **adapter):
    """Says which endpoint draws a model, which the hub would tell; the library keeps this table for tests."""
    _common.HARDCODED_MODEL_INFERENCE_MAPPING.setdefault("fal-ai", {})[model] = InferenceProviderMapping(
        provider="fal-ai", hf_model_id=model, providerId=provider_id, status="live", task=task, **adapter
    )


def with_fal_client():
    image_url = fal_client.upload_image(Image.new("RGB", (100, 60)), format="png")
    handle = fal_client.submit(REDRAW, {"prompt": "a king", "image_url": image_url})
    output = handle.get()
    with fal_client.SyncClient().realtime(DRAW) as connection:
        connection.send({"prompt": "a king", "image_size": "square", "seed": 5})
        seed = connection.recv()["seed"]
    return {
        "uploaded_to": image_url.split("/files/")[0],
        "same_handle": fal_client.sync_client.get_handle(REDRAW, handle.request_id) == handle,
        "width": output["images"][0]["width"],
        "seed": seed,
    }


def with_huggingface_hub():
    offer("test/draw", DRAW, "text-to-image")
    offer("test/redraw", REDRAW, "image-to-image")
    client = InferenceClient(provider="fal-ai", api_key=os.environ["FAL_KEY"])
    drawn = client.text_to_image(
        "a king", model="test/draw", width=128, height=64, num_inference_steps=2, extra_body={"sync_mode": False}
    )
    # The provider names the LoRA's file on the hub and SDXL as the base model.
    offer("test/style", "fal-ai/lora", "text-to-image", adapter="lora", adapterWeightsPath="style.safetensors")
    styled = client.text_to_image("a king", model="test/style", width=512, height=768, guidance_scale=7)
    buffer = io.BytesIO()
    drawn.save(buffer, "png")
    redrawn = client.image_to_image(
        buffer.getvalue(), prompt="a queen", model="test/redraw", sync_mode=False
    )
    return {"drawn": list(drawn.size), "styled": list(styled.size), "redrawn": list(redrawn.size)}


print(json.dumps({"fal_client": with_fal_client(), "huggingface_hub": with_huggingface_hub()}))
