"""What fal-ai/instantid/lcm and fal-ai/controlnet-ip-adapter draw of a photograph with tiny models, computed from the photograph on: face
size, detection, alignment, key points, edges, region, resampler, IdentityNet, decoupled attention, LCM steps, decoding; people, skeletons,
averaged features, a picture to start from.

    python scripts/golden/identity.py        (after conditioning_models.py and mtcnn.py; needs facenet-pytorch)

Written to packages/engine/test/golden/data/vision: identity.png (the photograph), identity-region.png, identity-everywhere.png, pose.png and
pose-start.png.

The steps are those of InstantID's gradio_demo/app-multicontrolnet.py, its models tiny. Faces come from facenet-pytorch, whose weights are
bundled; who it is comes from a few pixels of the aligned face, as the test's recognition network takes them.
"""

import conditioning
import cv2
import detectors
import numpy as np
import torch
from diffusers import AutoencoderKL
from mtcnn import load_facenet
from PIL import Image
from vision import DATA, draw_bodies, draw_face

SIDE = 128
PROMPT, NEGATIVE, SEED = "a person in a garden", "night", 3


def resize_face(image, shorter, longer):
    width, height = image.size
    ratio = shorter / min(height, width)
    width, height = round(ratio * width), round(ratio * height)
    ratio = longer / max(height, width)
    width, height = round(ratio * width), round(ratio * height)
    return image.resize((width, height), Image.BILINEAR).resize((width // 64 * 64, height // 64 * 64), Image.BILINEAR)


def find_face(image):
    # Three numbers a point, in pixels, and box x1 y1 x2 y2.
    detector = load_facenet().MTCNN(keep_all=True, device="cpu").eval()
    boxes, _, points = detector.detect(image, landmarks=True)
    largest = int(np.argmax((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])))
    return boxes[largest], points[largest]


def draw(image, selected, region):
    box, points = find_face(image)
    face = (detectors.align(np.array(image), points).astype(np.float32) - 127.5) / 127.5
    embedding = torch.from_numpy(face.transpose(2, 0, 1)[:, 40:42, 40:42].copy()).reshape(12)
    width, height = image.size
    x1, y1, x2, y2 = (int(side) for side in box)
    mask = np.zeros((height, width, 3), np.uint8)
    mask[y1:y2, x1:x2] = 255
    edges = cv2.Canny(cv2.cvtColor(np.array(image), cv2.COLOR_RGB2BGR), 100, 200)
    controls = {1: Image.fromarray(draw_face(points, width, height)), 2: Image.fromarray(edges).convert("RGB")}
    conditioning.PROMPT, conditioning.NEGATIVE = PROMPT, NEGATIVE
    conditioning.picture = lambda seed, *_: controls[seed]
    conditioning.mask_picture = lambda *_: Image.fromarray(mask)
    conditioning.face = lambda *_: embedding
    case = {
        **conditioning.DEFAULTS, **conditioning.INSTANTID, "width": width, "height": height, "seed": SEED, "steps": 2, "loras": [],
        "controlnets": conditioning.INSTANTID["controlnets"][: 2 if selected else 1],
    }  # fmt: skip
    case["controlnets"] = [{**control, "mask": control["mask"] if region else None} for control in case["controlnets"]]
    prompt = {**case["image_prompts"][0], "masks": ["face"] if region else None}
    return decode(conditioning.run({**case, "image_prompts": [prompt]}), "tiny-sdxl")


def draw_in_pose(photograph):
    """StableDiffusionControlNetImg2ImgPipeline from a small copy, in the pose of the photograph, with two pictures for an image prompt."""
    rgb = np.array(photograph)
    networks = [detectors.session(DATA / f"{name}.onnx") for name in ("yolox", "simcc")]
    boxes = detectors.detect_people(networks[0], rgb)
    boxes = boxes if len(boxes) else [[0, 0, *photograph.size]]
    poses = [{"body": detectors.detect_pose(networks[1], rgb, box)[0]} for box in boxes]
    start = photograph.resize((96, 64), Image.BILINEAR)
    start.save(DATA / "pose-start.png", optimize=True)
    pictures = {1: Image.fromarray(draw_bodies(poses, *photograph.size)), 3: photograph, 4: start, 7: start}
    conditioning.PROMPT, conditioning.NEGATIVE = PROMPT, NEGATIVE
    conditioning.picture = lambda seed, *_: pictures[seed]
    averaged = {**conditioning.AVERAGED["image_prompts"][0], "adapter": "base", "images": [3, 4]}
    case = {**conditioning.DEFAULTS, **conditioning.AVERAGED, "width": 96, "height": 64, "seed": SEED, "steps": 4}
    return decode(conditioning.run({**case, "image_prompts": [averaged]}), "tiny-sd15")


def decode(latents, checkpoint):
    vae = AutoencoderKL.from_pretrained(conditioning.CHECKPOINTS / checkpoint / "vae").eval()
    pixels = vae.decode(latents / vae.config.scaling_factor).sample[0]
    return Image.fromarray(((pixels / 2 + 0.5).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())


def main():
    torch.set_num_threads(1)
    photograph = Image.open(DATA / "astronaut.jpg").convert("RGB").crop((100, 20, 356, 212))
    photograph.save(DATA / "identity.png", optimize=True)
    image = resize_face(photograph, SIDE, SIDE)
    with torch.no_grad():
        draw(image, True, True).save(DATA / "identity-region.png", optimize=True)
        draw(image, False, False).save(DATA / "identity-everywhere.png", optimize=True)
        draw_in_pose(photograph).save(DATA / "pose.png", optimize=True)


if __name__ == "__main__":
    main()
