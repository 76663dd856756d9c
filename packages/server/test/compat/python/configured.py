"""fal_client, told by its environment where the server is; prints what each call gave as one JSON object.

Expects FAL_KEY, SSL_CERT_FILE, FAL_RUN_HOST and FAL_QUEUE_RUN_HOST, and BASE_URL, the server's own. The client has no
setting for the REST and CDN hosts, so those two constants are set here, as the guide says.
"""

import asyncio
import json
import os
import tempfile
import urllib.request

import fal_client
from fal_client import client as fal_client_module
from PIL import Image

fal_client_module.REST_URL = os.environ["BASE_URL"] + "/rest"
fal_client_module.CDN_URL = os.environ["BASE_URL"] + "/cdn"

DRAW = "fal-ai/fast-lcm-diffusion"
REDRAW = "fal-ai/fast-lcm-diffusion/image-to-image"
SMALL = {"prompt": "a king", "image_size": "square", "sync_mode": False}
results = {}


def download(url):
    with urllib.request.urlopen(url) as response:
        return response.headers["content-type"], response.read()


def record(function):
    """Calls the function now and keeps what it returns under its name."""
    results[function.__name__] = function()


@record
def run():
    output = fal_client.run(DRAW, {**SMALL, "seed": 7}, hint="lora:a")
    content_type, data = download(output["images"][0]["url"])
    return {"images": len(output["images"]), "seed": output["seed"], "type": content_type, "start": data[:3].hex()}


@record
def submit_to_a_path():
    black = Image.new("RGB", (100, 100))
    arguments = {"prompt": "a king", "image_url": fal_client.encode_image(black, "png"), "seed": 42}
    handle = fal_client.submit(REDRAW, arguments, start_timeout=30)
    output = handle.get()
    return {
        "seed": output["seed"],
        "width": output["images"][0]["width"],
        "same_result": fal_client.result(REDRAW, handle.request_id) == output,
        "same_handle": fal_client.sync_client.get_handle(REDRAW, handle.request_id) == handle,
        "same_status": fal_client.status(REDRAW, handle.request_id) == handle.status(),
        "without_logs": handle.status(with_logs=False).logs,
        "with_logs": [log["message"] for log in handle.status(with_logs=True).logs],
    }


@record
def subscribe():
    updates = []
    enqueued = []
    output = fal_client.subscribe(
        DRAW,
        {**SMALL, "num_inference_steps": 50},
        with_logs=True,
        on_enqueue=enqueued.append,
        on_queue_update=updates.append,
        priority="low",
    )
    running = [update for update in updates if isinstance(update, fal_client.InProgress)]
    return {
        "images": len(output["images"]),
        "enqueued": len(enqueued),
        "last": type(updates[-1]).__name__,
        "first_log": running[-1].logs[0]["message"] if running and running[-1].logs else None,
    }


@record
def cancel():
    handle = fal_client.submit("fake/steps", {"steps": 1000, "ms": 20})
    handle.cancel()
    try:
        handle.get()
    except fal_client.FalClientHTTPError as error:
        return {"status": error.status_code, "type": error.error_type}


@record
def stream():
    events = list(fal_client.stream(DRAW, {**SMALL, "num_inference_steps": 2}))
    return {"events": len(events), "last": events[-1]["images"][0]["url"].split("/files/")[0]}


@record
def realtime_with_the_key():
    with fal_client.SyncClient().realtime(DRAW, use_jwt=False) as connection:
        connection.send({**SMALL, "seed": 5, "request_id": "first"})
        first = connection.recv()
        connection.send({**SMALL, "seed": 6, "request_id": "second"})
        second = connection.recv()
    return {
        "seeds": [first["seed"], second["seed"]],
        "ids": [first["request_id"], second["request_id"]],
        "start": first["images"][0]["content"][:3].hex(),
    }


@record
def realtime_with_a_token():
    with fal_client.SyncClient().realtime(DRAW, max_buffering=2) as connection:
        connection.send(SMALL)
        return {"images": len(connection.recv()["images"])}


@record
def upload():
    data = bytes(range(256)) * 1000
    url = fal_client.upload(data, "application/octet-stream")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "note.txt")
        with open(path, "w") as file:
            file.write("hello")
        file_url = fal_client.upload_file(path)
    image_url = fal_client.upload_image(Image.new("RGB", (100, 100)), format="png")
    output = fal_client.run(REDRAW, {"prompt": "a king", "image_url": image_url})
    return {
        "same": download(url)[1] == data,
        "file": [download(file_url)[0], download(file_url)[1].decode()],
        "size": [output["images"][0]["width"], output["images"][0]["height"]],
    }


@record
def errors():
    found = {}
    calls = {
        "wrong_input": lambda: fal_client.run(DRAW, {"prompt": [1]}),
        "unknown": lambda: fal_client.run("fal-ai/nothing", {}),
        "wrong_key": lambda: fal_client.SyncClient(key="who:ever").submit(DRAW, SMALL),
    }
    for name, call in calls.items():
        try:
            call()
        except fal_client.FalClientHTTPError as error:
            found[name] = [error.status_code, error.message]
    return found


async def with_the_async_client():
    client = fal_client.AsyncClient()
    output = await client.subscribe(DRAW, SMALL, with_logs=True)
    events = [event async for event in client.stream(DRAW, {**SMALL, "num_inference_steps": 2})]
    handle = await client.submit(DRAW, SMALL)
    states = [type(state).__name__ async for state in handle.iter_events(with_logs=True)]
    async with client.realtime(DRAW, use_jwt=False) as connection:
        await connection.send({**SMALL, "seed": 8})
        answer = await connection.recv()
    return {"images": len(output["images"]), "events": len(events), "last": states[-1], "seed": answer["seed"]}


results["asynchronous"] = asyncio.run(with_the_async_client())
print(json.dumps(results))
