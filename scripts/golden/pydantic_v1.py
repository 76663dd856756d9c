"""Verdicts of pydantic 1.10 behind FastAPI 0.99 on random bodies, one file per endpoint.

    python scripts/golden/pydantic_v1.py --count 800 --output packages/server/test/golden/data

Needs pydantic<2 and fastapi<0.100. Each output line is [body, content type, status, verdict]: the body as text or, where
it is no text, {"base64": …}; the verdict is the list of errors of a 422, the detail of a 400, or the values of the model.
The text of a broken body (ctx.doc) is left out: it is the body.
"""

import argparse
import asyncio
import base64
import gzip
import io
import json
import platform
import random
from pathlib import Path
from typing import Any, List, Literal, Optional, Union

import fastapi
import pydantic
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

PRESETS = Literal["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]
MODEL_NAMES = Literal["stabilityai/stable-diffusion-xl-base-1.0", "runwayml/stable-diffusion-v1-5"]
UINT64 = 2**64 - 1


class ImageSize(BaseModel):
    width: int = Field(default=512, gt=0, le=14142)
    height: int = Field(default=512, gt=0, le=14142)


class FastLcmDiffusion(BaseModel):
    model_name: MODEL_NAMES = "stabilityai/stable-diffusion-xl-base-1.0"
    prompt: str
    negative_prompt: str = ""
    image_size: Union[ImageSize, PRESETS] = "square_hd"
    num_inference_steps: int = Field(default=6, ge=1, le=50)
    seed: Optional[int] = Field(default=None, ge=0, le=UINT64)
    guidance_scale: float = Field(default=1.5, ge=0, le=20)
    sync_mode: bool = True
    num_images: int = Field(default=1, ge=1, le=8)
    enable_safety_checker: bool = True
    enable_safety_checks: Optional[bool] = None
    safety_checker_version: Literal["v1", "v2"] = "v1"
    expand_prompt: bool = False
    format: Literal["jpeg", "png"] = "jpeg"
    guidance_rescale: float = Field(default=0.0, ge=0, le=1)
    request_id: str = ""


class FastLcmDiffusionImageToImage(BaseModel):
    model_name: MODEL_NAMES = "stabilityai/stable-diffusion-xl-base-1.0"
    prompt: str
    image_url: str
    negative_prompt: str = ""
    image_size: Optional[Union[ImageSize, PRESETS]] = None
    num_inference_steps: int = Field(default=6, ge=1, le=50)
    seed: Optional[int] = Field(default=None, ge=0, le=UINT64)
    guidance_scale: float = Field(default=1.5, ge=0, le=20)
    strength: float = Field(default=0.95, ge=0, le=1)
    sync_mode: bool = True
    num_images: int = Field(default=1, ge=1, le=8)
    enable_safety_checker: bool = True
    enable_safety_checks: Optional[bool] = None
    safety_checker_version: Literal["v1", "v2"] = "v1"
    expand_prompt: bool = False
    format: Literal["jpeg", "png"] = "jpeg"
    guidance_rescale: float = Field(default=0.0, ge=0, le=1)
    request_id: str = ""


class LcmSd15ImageToImage(BaseModel):
    prompt: str
    image_url: str
    strength: float = Field(default=0.8, ge=0, le=1)
    negative_prompt: str = ""
    seed: Optional[int] = Field(default=None, ge=0, le=UINT64)
    guidance_scale: float = Field(default=1, ge=0, le=20)
    num_inference_steps: int = Field(default=4, ge=1, le=50)
    sync_mode: bool = False
    num_images: int = Field(default=1, ge=1, le=8)
    enable_safety_checks: bool = True
    enable_safety_checker: Optional[bool] = None
    request_id: str = ""
    mask_url: Optional[str] = None


ENDPOINTS = {
    "fal-ai/fast-lcm-diffusion": FastLcmDiffusion,
    "fal-ai/fast-lcm-diffusion/image-to-image": FastLcmDiffusionImageToImage,
    "fal-ai/lcm-sd15-i2i": LcmSd15ImageToImage,
}


class Oracle:
    """One endpoint as a FastAPI application, called without a network."""

    def __init__(self, model: type) -> None:
        self.verdict: Any = None
        self.app = fastapi.FastAPI()

        @self.app.exception_handler(RequestValidationError)
        async def refuse(_request: Any, error: RequestValidationError) -> JSONResponse:
            self.verdict = error.errors()
            return JSONResponse({}, status_code=422)

        @self.app.exception_handler(400)
        async def unreadable(_request: Any, error: Any) -> JSONResponse:
            self.verdict = error.detail
            return JSONResponse({}, status_code=400)

        async def accept(body: Any) -> JSONResponse:
            self.verdict = body.dict()
            return JSONResponse({})

        accept.__annotations__["body"] = model
        self.app.post("/")(accept)

    def judge(self, body: bytes, content_type: Optional[str]) -> "tuple[int, Any]":
        self.verdict = None
        status = asyncio.run(self._call(body, content_type))
        return status, self.verdict

    async def _call(self, body: bytes, content_type: Optional[str]) -> int:
        statuses: List[int] = []
        headers = [] if content_type is None else [(b"content-type", content_type.encode())]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": "/", "raw_path": b"/", "query_string": b"", "headers": headers, "root_path": "",
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        }

        async def receive() -> dict:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        try:
            await self.app(scope, receive, send)
        except Exception:  # What FastAPI answers 500 to and raises again.
            return 500
        return statuses[0]


INTEGERS = [0, 1, 2, 3, 4, 8, 9, 20, 50, 51, 512, 14142, 14143, -1, -5, 2**31, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1,
            2**63, 2**64 - 1, 2**64, 10**22, -(2**63), -(10**30), 10**308, 10**310, -(10**400), 12345678901234567890]
FLOATS = [0.0, -0.0, 0.5, 1.0, 1.5, 2.0, 2.7, -0.3, 7.999, 8.999, 20.0, 20.0001, 0.1 + 0.2, 1e15, 1e16, 1.5e16, 1e22,
          123456789.125, 1e-4, 1e-5, 5e-324, 1e300, 1.7976931348623157e308, -1e18, float("nan"), float("inf"),
          float("-inf")]
WORDS = ["", " ", "a", "ab", "2", " 2", "2 ", "\t3\n", "+4", "-1", "- 1", "--1", "2.0", "2.5", "1e1", "1E2", ".5", "5.",
         ".", "1_0", "_1", "1__0", "1_", "1_0.5_0", "0x10", "0b1", "007", "00", "1,5", "nan", "NaN", "-inf", "Infinity",
         "infinit", "true", "True", "TRUE", "t", "T", "yes", "y", "on", "ON", "off", "no", "n", "f", "false", "0", "1",
         "None", "null", "square", "square_hd", "Square", "v1", "v2", "V1", "jpeg", "png", "jpg", "landscape_16_9",
         "stabilityai/stable-diffusion-xl-base-1.0", "runwayml/stable-diffusion-v1-5", "\u0663", "\uff11\uff12",
         "\u0967\u096a", "\U0001d7d8\U0001d7d9", "\u00b2", "\u2007" + "5\u00a0", "\ufeff1", "\x1c7", "\x855", "\u180e6",
         "1\u200b", "\ud800", "a\udfffb", "\U0001f600", "e\u0301", "\u0000", "1\u0000", "9" * 25, "9" * 4301, "1e400", "-1e400",
         "1e-400", "\u212a", "tRuE", "\u0131", "https://example.com/a.png", "data:image/png;base64,AAAA", "'", "\"", "\\"]


def junk(random_: random.Random, depth: int = 0) -> Any:
    kind = random_.randrange(12 if depth < 3 else 6)
    if kind == 0:
        return random_.choice([None, None, True, False])
    if kind in (1, 2):
        return random_.choice(INTEGERS) if random_.random() < 0.7 else random_.randrange(-(2**70), 2**70)
    if kind == 3:
        return random_.choice(FLOATS) if random_.random() < 0.7 else random_.uniform(-60, 60) * 10 ** random_.randrange(-12, 25)
    if kind in (4, 5):
        return random_.choice(WORDS)
    if kind in (6, 7):
        return [junk(random_, depth + 1) for _ in range(random_.randrange(4))]
    if kind == 8:  # what dict() also takes: pairs, strings of two, dicts of two
        return [pair(random_, depth) for _ in range(random_.randrange(3))]
    if kind == 9:
        value: Any = random_.choice([1, "x", None])
        for _ in range(random_.choice([2, 5, 30, 200])):
            value = [value] if random_.random() < 0.5 else {"a": value}
        return value
    keys = ["width", "height", "url", "x", "", "__proto__", "constructor", "1"]
    return {random_.choice(keys): junk(random_, depth + 1) for _ in range(random_.randrange(4))}


def pair(random_: random.Random, depth: int) -> Any:
    key = random_.choice(["width", "height", "prompt", "x", 1, None, True, 1.5, ["k"], "\U0001f600"])
    shape = random_.randrange(5)
    if shape < 2:
        return [key, junk(random_, depth + 1)]
    if shape == 2:
        return random_.choice(["ab", "a", "abc", "\U0001f600b", "\u00e9x"])
    if shape == 3:
        return {"width": 1, "height": 2} if random_.random() < 0.5 else {"x": 1}
    return [key, 1, 2]


def valid(random_: random.Random, name: str) -> Any:
    if name in ("prompt", "negative_prompt", "request_id"):
        return random_.choice(["a red square", "", "猫 \U0001f63a", "x" * 50, "cat\nand dog"])
    if name.endswith("_url"):
        return random_.choice(["https://example.com/a.png", "data:image/png;base64,iVBORw0KGgo="])
    if name == "model_name":
        return random_.choice(["stabilityai/stable-diffusion-xl-base-1.0", "runwayml/stable-diffusion-v1-5"])
    if name == "image_size":
        return random_.choice(["square", "portrait_4_3", {"width": 640, "height": 384}, {"width": 512}, {}])
    if name == "seed":
        return random_.choice([0, 42, 2**53 + 1, 2**64 - 1, None, "7", 1234.75])
    if name == "safety_checker_version":
        return random_.choice(["v1", "v2"])
    if name == "format":
        return random_.choice(["jpeg", "png"])
    if name in ("num_inference_steps", "num_images"):
        return random_.choice([1, 2, 4, 8, "4", 2.0, 3.9, True])
    if name in ("guidance_scale", "strength", "guidance_rescale"):
        return random_.choice([0, 1, 0.5, 0.25, "0.75", 1.0])
    return random_.choice([True, False, 1, 0, "true", "off"])


def write_value(random_: random.Random, value: Any) -> str:
    return json.dumps(value, ensure_ascii=random_.random() < 0.5, separators=random_.choice([(",", ":"), (", ", ": ")]))


def write_object(random_: random.Random, members: "list[tuple[str, Any]]") -> str:
    space = lambda: random_.choice(["", "", "", " ", "\n", "\t\r\n "])  # noqa: E731
    parts = [f"{space()}{json.dumps(key)}{space()}:{space()}{write_value(random_, value)}{space()}" for key, value in members]
    return space() + "{" + ",".join(parts) + "}" + space()


def random_members(random_: random.Random, model: type) -> "list[tuple[str, Any]]":
    members = []
    for name, field in model.__fields__.items():
        if field.required and random_.random() < 0.93 or random_.random() < 0.35:
            members.append((name, valid(random_, name)))
    for _ in range(random_.choice([0, 1, 1, 1, 2, 2, 3, 5])):
        name = random_.choice(list(model.__fields__))
        members = [member for member in members if member[0] != name] + [(name, junk(random_))]
    if random_.random() < 0.2:
        members.append((random_.choice(["_force_msgpack", "extra", "__proto__", "constructor", "", "\U0001f600", "\ud83d"]), junk(random_)))
    if random_.random() < 0.15 and members:  # duplicate keys
        name = random_.choice(members)[0]
        members.append((name, random_.choice([junk(random_), valid(random_, name)])))
    random_.shuffle(members)
    return members


BROKEN = ["", " ", "{", "[", "}", "nul", "tru", "+1", "01", "1.", "1e", "-", ".5", "'a'", '"a', '"\\', '"\\u12', '"\\u12G4"',
          '"\\x"', '"\\ud83d\\u"', '{"a"}', '{"a":}', '{"a":1,}', '{,}', "[1,]", "[,]", "[1 2]", "{1:2}", '{"a":1 "b":2}', "//x\n{}",
          '{"a":1}}', "{} {}", "NaN", "Infinity", "-Infinity", "-Inf", "nan", "null", "true", "0", '""', '"ab"', "[]", '["ab"]',
          '[["prompt","x"]]', '[["prompt","x"],["num_images","3"]]', '[[1,2]]', "1" * 4301, "\u00a0{}", "\ufeff{}", '"\u0001"', '{"prompt":"a\nb"}',
          '{"prompt": "\U0001f600", x}', '\n\n  {"prompt":\n "a", \U0001f600}', "[" * 5000, '{"a":' * 3000, "[" * 300 + "]" * 300,
          '{"prompt":"' + "x" * 12000 + '","seed":-1}', '{"\\ud800":1,"prompt":"\\udc00"}', '{"a" 1}', '{"a":1', '{"a":1,', "[1", "[1,",
          '{"a":tru}', '{"a":-}', '"a"b', "1 2", '{"a":"b}', '{"a":"\t"}']


def random_body(random_: random.Random, model: type) -> "tuple[bytes, Optional[str]]":
    roll = random_.random()
    if roll < 0.06:
        text = random_.choice(BROKEN)
    else:
        text = write_object(random_, random_members(random_, model))
    body = text.encode("utf-8", "surrogatepass")
    if roll > 0.93:  # cut, flipped, doubled or random bytes
        body = mutate(random_, body)
    elif roll > 0.91:
        body = text.encode(random_.choice(["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-8-sig"]), "surrogatepass")
    content_type: Optional[str] = "application/json"
    if random_.random() < 0.04:
        content_type = random_.choice([None, "application/json; charset=utf-8", "application/vnd.api+json", "text/plain",
                                       "application/x-www-form-urlencoded", "APPLICATION/JSON", "application/jsonx"])
    return body, content_type


def mutate(random_: random.Random, body: bytes) -> bytes:
    kind = random_.randrange(5)
    at = random_.randrange(len(body) + 1)
    if kind == 0:
        return body[:at]
    if kind == 1 and body:
        at = min(at, len(body) - 1)
        return body[:at] + bytes([random_.randrange(256)]) + body[at + 1 :]
    if kind == 2:
        return body[:at] + random_.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b",", b'"', b"\\", b"\x00", b"}"]) + body[at:]
    if kind == 3:
        return random_.randbytes(random_.randrange(64))
    return body[at:] + body[:at]


def portable(value: Any) -> Any:
    """Without what the comparison supplies itself, and without None members, which answers leave out."""
    if isinstance(value, dict):
        return {key: portable(member) for key, member in value.items() if key != "doc" and member is not None}
    if isinstance(value, (list, tuple)):
        return [portable(member) for member in value]
    return value


def record(body: bytes, content_type: Optional[str], status: int, verdict: Any) -> list:
    try:
        text: Any = body.decode("utf-8")
    except UnicodeDecodeError:
        text = {"base64": base64.b64encode(body).decode()}
    # A refused input is repeated as it was, None included.
    shown = portable(verdict) if status == 200 else [without_doc(item) for item in verdict] if status == 422 else verdict
    return [text, content_type, status, shown]


def without_doc(item: dict) -> dict:
    if "ctx" not in item:
        return item
    return {**item, "ctx": {key: member for key, member in item["ctx"].items() if key != "doc"}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=800, help="bodies per endpoint")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    for endpoint_id, model in ENDPOINTS.items():
        random_ = random.Random(f"{arguments.seed} {endpoint_id}")
        oracle = Oracle(model)
        header = {
            "endpoint": endpoint_id, "pydantic": pydantic.VERSION, "fastapi": fastapi.__version__,
            "python": platform.python_version(), "seed": arguments.seed, "count": arguments.count,
            "tolerance": "exact: texts, types and locations are compared as they are",
        }
        lines = [json.dumps(header)]
        for _ in range(arguments.count):
            body, content_type = random_body(random_, model)
            lines.append(json.dumps(record(body, content_type, *oracle.judge(body, content_type))))
        target = arguments.output / f"pydantic-v1.{endpoint_id.replace('/', '.')}.jsonl.gz"
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
            file.write(("\n".join(lines) + "\n").encode())
        target.write_bytes(buffer.getvalue())
        print(f"{target.name}: {len(lines) - 1} bodies, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
