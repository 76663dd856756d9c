"""Draws a picture with fal_client as it is, told by its environment where the server is.

The client speaks HTTPS only, so serve with --tls; the server prints this line:

    SSL_CERT_FILE=~/.darkroom/tls/authority.pem FAL_RUN_HOST=localhost:3010/run FAL_QUEUE_RUN_HOST=localhost:3010/queue

    FAL_KEY=any python examples/python/draw.py "an island in the ocean at sunset"

The client wants a FAL_KEY even where the server needs none.
"""

import sys
import urllib.request

import fal_client

prompt = sys.argv[1] if len(sys.argv) > 1 else "an island in the ocean at sunset"


def show(update):
    if isinstance(update, fal_client.InProgress) and update.logs:
        print(update.logs[-1]["message"])


output = fal_client.subscribe(
    "fal-ai/fast-lcm-diffusion",
    arguments={"prompt": prompt, "image_size": "square", "sync_mode": False},
    with_logs=True,
    on_queue_update=show,
)
urllib.request.urlretrieve(output["images"][0]["url"], "drawn.jpg")
print("Wrote drawn.jpg")
