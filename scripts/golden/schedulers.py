"""Golden schedules and trajectories of diffusers' schedulers.

Writes schedulers.json and schedulers.bin (float32, little endian) into packages/engine/test/golden/data.

Each case runs one scheduler as diffusers' pipelines do, with a made-up model in place of the UNet:

    s = scheduler.scale_model_input(x, t);  output = 0.8 * s / (1 + |s|) + pattern * t / 1000

in float32, one rounding per operation, so that both sides can compute it alike. Noise comes from a pool in the file,
taken in turn, instead of a generator.
"""

import inspect
import json
import pathlib

import diffusers
import numpy as np
import torch
from diffusers.schedulers import (
    scheduling_ddim,
    scheduling_dpmsolver_multistep,
    scheduling_euler_ancestral_discrete,
    scheduling_euler_discrete,
    scheduling_lcm,
    scheduling_tcd,
)

torch.set_num_threads(1)
diffusers.logging.set_verbosity_error()
DATA = pathlib.Path(__file__).parents[2] / "packages/engine/test/golden/data"
SHAPE = (2, 4, 3, 3)
FULL_TRAJECTORY_STEPS = 10
KEEP_EVERY = 5

SD15 = {
    "_class_name": "PNDMScheduler",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}
SDXL = {
    **SD15,
    "_class_name": "EulerDiscreteScheduler",
    "interpolation_type": "linear",
    "prediction_type": "epsilon",
    "sample_max_value": 1.0,
    "timestep_spacing": "leading",
    "use_karras_sigmas": False,
}
CONFIGS = {"sd15": SD15, "sdxl": SDXL}

SDE = {"algorithm_type": "sde-dpmsolver++"}
KARRAS = {"use_karras_sigmas": True}
TRAILING = {"timestep_spacing": "trailing"}
NAMES = {
    "DPM++ 2M": ("DPMSolverMultistepScheduler", {}),
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", KARRAS),
    "DPM++ 2M SDE": ("DPMSolverMultistepScheduler", SDE),
    "DPM++ 2M SDE Karras": ("DPMSolverMultistepScheduler", {**SDE, **KARRAS}),
    "Euler": ("EulerDiscreteScheduler", {}),
    "Euler A": ("EulerAncestralDiscreteScheduler", {}),
    "Euler (trailing timesteps)": ("EulerDiscreteScheduler", TRAILING),
    "LCM": ("LCMScheduler", {}),
    "LCM (trailing timesteps)": ("LCMScheduler", TRAILING),
    "DDIM": ("DDIMScheduler", {}),
    "TCD": ("TCDScheduler", {}),
}

generator = torch.Generator().manual_seed(20240229)
POOL = torch.randn((16, *SHAPE), generator=generator)
INITIAL, IMAGE, IMAGE_NOISE, PATTERN = POOL[:4]
DRAWS = POOL[4:]

draws = 0


def draw(shape, **_):
    global draws
    assert tuple(shape) == SHAPE
    noise = DRAWS[draws % len(DRAWS)]
    draws += 1
    return noise


for module in (
    scheduling_ddim,
    scheduling_dpmsolver_multistep,
    scheduling_euler_ancestral_discrete,
    scheduling_euler_discrete,
    scheduling_lcm,
    scheduling_tcd,
):
    module.randn_tensor = draw


def model(scaled, t):
    return 0.8 * (scaled / (1 + scaled.abs())) + PATTERN * (t.to(torch.float32) / 1000)


def create(name, config, overrides):
    own = getattr(diffusers, config["_class_name"]).from_config(config)
    class_name, named = NAMES.get(name, (name or config["_class_name"], {}))
    return getattr(diffusers, class_name).from_config(own.config, **{**named, **overrides})


def set_timesteps(scheduler, schedule, options):
    """retrieve_timesteps: returns the step count that img2img multiplies by the strength."""
    snake = {"numInferenceSteps": "num_inference_steps", "originalInferenceSteps": "original_inference_steps"}
    scheduler.set_timesteps(**{snake.get(k, k): v for k, v in {**schedule, **options}.items()})
    return schedule.get("numInferenceSteps", len(scheduler.timesteps))


def image_to_image_start(scheduler, count, strength):
    start = max(count - min(int(count * strength), count), 0) * scheduler.order
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start)
    noisy = scheduler.add_noise(IMAGE, IMAGE_NOISE, scheduler.timesteps[start : start + 1].repeat(SHAPE[0]))
    return start, noisy


blob = bytearray()


def store(array):
    offset = len(blob) // 4
    blob.extend(array.detach().numpy().astype("<f4").tobytes())
    return offset


def case(name, config, schedule, overrides=None, options=None, strength=None, eta=0.0):
    global draws
    draws = 0
    overrides, options = overrides or {}, options or {}
    scheduler = create(name, CONFIGS[config] if isinstance(config, str) else config, overrides)
    count = set_timesteps(scheduler, schedule, options)
    init_noise_sigma = float(scheduler.init_noise_sigma)
    start, x = 0, INITIAL * scheduler.init_noise_sigma
    if strength is not None:
        start, x = image_to_image_start(scheduler, count, strength)
    states = [x]
    # As prepare_extra_step_kwargs of the pipelines: eta is passed to the classes that take it, 0 by default.
    step_options = {"eta": eta} if "eta" in inspect.signature(scheduler.step).parameters else {}
    for t in scheduler.timesteps[start:]:
        output = model(scheduler.scale_model_input(x, t), t)
        x = scheduler.step(output, t, x, **step_options, return_dict=False)[0]
        states.append(x)
    every = 1 if len(states) <= FULL_TRAJECTORY_STEPS + 2 else KEEP_EVERY
    kept = sorted({*range(0, len(states), every), len(states) - 1})
    assert all(torch.isfinite(states[i]).all() for i in kept), (name, config, schedule, overrides)
    has_sigmas = not hasattr(scheduler, "final_alpha_cumprod")
    return {
        "scheduler": name,
        "config": config,
        "overrides": overrides,
        "schedule": schedule,
        "options": options,
        "strength": strength,
        "eta": eta,
        "timesteps": [float(t) for t in scheduler.timesteps],
        "sigmas": [float(f"{float(s):.9g}") for s in scheduler.sigmas] if has_sigmas else None,
        "initNoiseSigma": init_noise_sigma,
        "startIndex": start,
        "draws": draws,
        "states": kept,
        "offset": store(torch.stack([states[i] for i in kept])),
    }


def steps(n):
    return {"numInferenceSteps": n}


def named_cases():
    for name in NAMES:
        for config in CONFIGS:
            for n in (4, 10, 30):
                for prediction in ("epsilon", "v_prediction"):
                    yield case(name, config, steps(n), {"prediction_type": prediction})
            yield case(name, config, steps(10), strength=0.5)
    for config in CONFIGS:
        for n in (1, 2, 4, 10, 30):
            yield case(None, config, steps(n))
        yield case(None, config, steps(10), strength=0.5)


LINEAR = {"_class_name": "DDIMScheduler", "num_train_timesteps": 1000, "prediction_type": "epsilon"}
COSINE = {**LINEAR, "beta_schedule": "squaredcos_cap_v2"}
TRAINED = {**LINEAR, "trained_betas": np.linspace(0.002, 0.03, 200).round(6).tolist(), "num_train_timesteps": 200}
ZERO_SNR = {"rescale_betas_zero_snr": True, "prediction_type": "v_prediction", **TRAILING}
V = {"prediction_type": "v_prediction"}
SAMPLE = {"prediction_type": "sample"}
DPM, EULER, EULER_A = "DPMSolverMultistepScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"
DDIM, LCM, TCD, PNDM = "DDIMScheduler", "LCMScheduler", "TCDScheduler", "PNDMScheduler"


def noise_schedule_cases():
    for name in (DPM, EULER, EULER_A, DDIM, LCM, TCD):
        yield case(name, LINEAR, steps(5))
        yield case(name, COSINE, steps(5), V)
        yield case(name, TRAINED, steps(5))
        yield case(name, "sd15", steps(6), ZERO_SNR)
    for name in (DPM, EULER, DDIM, LCM, TCD):
        yield case(name, "sdxl", steps(5), SAMPLE)
    for config in (LINEAR, COSINE, TRAINED):
        yield case(PNDM, {**config, "skip_prk_steps": True}, steps(6))


def spacing_cases():
    # 61, 103 and 122 steps: numpy's arange gives one timestep more, −1.
    for name in (DPM, EULER, EULER_A, DDIM, PNDM):
        for spacing in ("linspace", "leading", "trailing"):
            for n in (7, 16):
                yield case(name, "sd15", steps(n), {"timestep_spacing": spacing})
        yield case(name, "sd15", steps(61), TRAILING)
    yield case(EULER, "sd15", steps(103), TRAILING)
    yield case("Euler (trailing timesteps)", "sdxl", steps(122))
    for name in ("DPM++ 2M Karras", "DPM++ 2M SDE Karras"):
        yield case(name, "sd15", steps(60))
        yield case(name, "sd15", steps(60), strength=0.3)
    for n in (1, 2, 3, 5, 6, 8, 50):
        yield case("LCM", "sd15", steps(n))
        yield case("TCD", "sdxl", steps(n), eta=0.3)


def custom_schedule_cases():
    for name in (DPM, EULER, LCM, TCD):
        yield case(name, "sdxl", {"timesteps": [999, 748, 450, 137, 19]})
        yield case(name, "sdxl", {"timesteps": [999, 748, 450, 137, 19]}, strength=0.5)
    yield case(EULER, "sd15", {"timesteps": [999.5, 621.25, 100.125, 0.75]})
    yield case(EULER, "sd15", {"sigmas": [14.6, 6.5, 2.5, 0.9, 0.2, 0.0]})
    yield case(EULER, "sdxl", {"sigmas": [30.0, 6.5, 0.01, 0.0]}, V, strength=0.7)
    yield case(EULER, "sd15", {"sigmas": [14.6, 6.5, 2.5, 0.9, 0.2, 0.0]}, KARRAS)
    for name in (LCM, TCD):
        yield case(name, "sd15", steps(4), options={"strength": 0.8})
        yield case(name, "sd15", steps(7), options={"originalInferenceSteps": 100, "strength": 0.29})
        yield case(name, "sd15", {"timesteps": [999, 748, 450, 137, 19]}, options={"strength": 0.5})


def strength_cases():
    for name in ("Euler", "Euler A", "DPM++ 2M SDE", "DDIM", "LCM", None):
        for n, strength in ((4, 0.8), (10, 0.7), (7, 0.29), (10, 1.0), (10, 0.99)):
            yield case(name, "sd15", steps(n), strength=strength)


def eta_cases():
    for name in (DDIM, TCD):
        for eta in (0.0, 0.3, 0.5, 1.0):
            yield case(name, "sd15", steps(6), eta=eta)
            # With DDIM at eta 1 the first variance of a zero-SNR schedule rounds below 0 and diffusers makes NaN.
            if (name, eta) != (DDIM, 1.0):
                yield case(name, "sdxl", steps(6), ZERO_SNR, eta=eta)
        yield case(name, "sdxl", steps(8), eta=0.5, strength=0.5)
    yield case(DDIM, "sd15", steps(6), {"set_alpha_to_one": True}, eta=0.5)


def clipping_cases():
    threshold = {"thresholding": True, "sample_max_value": 2.5, "dynamic_thresholding_ratio": 0.9}
    for name in (DDIM, LCM, TCD, DPM):
        yield case(name, "sd15", steps(5), threshold)
        yield case(name, "sd15", steps(5), {"thresholding": True})
    for name in (DDIM, LCM, TCD):
        yield case(name, "sd15", steps(5), {"clip_sample": True, "clip_sample_range": 1.5})
    yield case(LCM, "sd15", steps(5), {"timestep_scaling": 3.0})


def euler_cases():
    for overrides in (
        {"interpolation_type": "log_linear"},
        {"final_sigmas_type": "sigma_min"},
        KARRAS,
        {**KARRAS, "sigma_min": 0.1, "sigma_max": 10.0},
        {**KARRAS, **V, **TRAILING},
        {**KARRAS, "interpolation_type": "log_linear"},
    ):
        for config in CONFIGS:
            yield case(EULER, config, steps(9), overrides)


def dpm_cases():
    for algorithm in ({}, SDE):
        for order in (1, 2, 3):
            for n in (2, 6, 16):
                yield case(DPM, "sd15", steps(n), {**algorithm, "solver_order": order})
            yield case(DPM, "sd15", steps(16), {**algorithm, "solver_order": order, "euler_at_final": True})
            free = {"lower_order_final": False}
            for extra in ({}, free, {**free, "euler_at_final": True}, {"solver_type": "heun"}):
                overrides = {**algorithm, **extra, "solver_order": order, "final_sigmas_type": "sigma_min"}
                yield case(DPM, "sdxl", steps(7), overrides)
    for solver_type in ("logrho", "bh1", "bh2"):
        yield case(DPM, "sd15", steps(6), {"solver_type": solver_type})
    for spacing in ("linspace", "leading", "trailing"):
        yield case(DPM, COSINE, steps(8), {"lambda_min_clipped": -5.1, "timestep_spacing": spacing})
    # The first timestep comes twice here: diffusers' text-to-image runs off the end, image-to-image counts the steps.
    yield case(DPM, COSINE, steps(8), KARRAS, strength=1.0)
    # Not a parameter of the class, but read off a config that carries it.
    yield case(DPM, {**SDXL, "sigma_min": 0.05, "sigma_max": 12.0}, steps(8), KARRAS)


def live_config_case():
    """A config saved from a live scheduler says which keys were only defaulted."""
    live = {"_class_name": "DDIMScheduler", "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    config = dict(diffusers.DDIMScheduler.from_config(live).config)
    assert "timestep_spacing" in config["_use_default_values"]
    config["_use_default_values"] = sorted(config["_use_default_values"])
    yield case("Euler", config, steps(4))


def runge_kutta_cases():
    """PNDM with its warm-up, four evaluations for each of the first three steps."""
    prk = {"skip_prk_steps": False}
    for n in (4, 5, 10, 30):
        for extra in ({}, V):
            yield case(PNDM, "sd15", steps(n), {**prk, **extra})
    for spacing in ("linspace", "leading", "trailing"):
        yield case(PNDM, "sd15", steps(7), {**prk, "timestep_spacing": spacing, "set_alpha_to_one": True})
    for config in (LINEAR, COSINE, TRAINED):
        yield case(PNDM, config, steps(6), prk)
    for n, strength in ((10, 0.5), (10, 1.0), (20, 0.7), (10, 0.2)):
        yield case(PNDM, "sd15", steps(n), prk, strength=strength)


def lu_cases():
    lu = {"use_lu_lambdas": True}
    for config in CONFIGS:
        for n in (1, 4, 10, 30):
            yield case(DPM, config, steps(n), lu)
        yield case(DPM, config, steps(10), {**lu, **SDE, **V})
        yield case(DPM, config, steps(10), lu, strength=0.5)
    yield case(DPM, COSINE, steps(8), lu)
    yield case(DPM, "sd15", steps(9), {**lu, "solver_order": 3, "final_sigmas_type": "sigma_min"})
    # Karras wins where both are asked for.
    yield case(DPM, "sd15", steps(8), {**lu, **KARRAS})


cases = [
    *named_cases(),
    *noise_schedule_cases(),
    *spacing_cases(),
    *custom_schedule_cases(),
    *strength_cases(),
    *eta_cases(),
    *clipping_cases(),
    *euler_cases(),
    *dpm_cases(),
    *live_config_case(),
    *runge_kutta_cases(),
    *lu_cases(),
]
header = {
    "versions": {"diffusers": diffusers.__version__, "torch": torch.__version__, "numpy": np.__version__},
    "about": "Made by scripts/golden/schedulers.py, which documents the made-up model. Offsets count float32 values in "
    "schedulers.bin; states are indices into the trajectory, 0 being the start.",
    "tolerance": {
        "states": 5e-6,
        "statesZeroSnrEuler": 1e-4,
        "sigmas": 1.5e-7,
        "timestepsOfSigmas": 2e-7,
        "reason": "Relative to the largest magnitude of a state or table. torch's float32 sqrt is off by one unit in the last "
        "place for about a fifth of the sigmas and numpy's float32 log for some, which is measured as at most 1e-6 at the "
        "end of a trajectory. Euler at zero SNR subtracts states of the size of sigma 4096 down to a few units: 1000 times "
        "that. Timesteps are exact, except where they are interpolated from log sigmas.",
    },
    "configs": CONFIGS,
    "shape": SHAPE,
    "pool": store(POOL),
    "poolLength": len(POOL),
    # The first draws of torch.Generator().manual_seed(0), for the loops of diffusers' own scheduler tests.
    "seedZeroShape": (4, 3, 8, 8),
    "seedZeroDraws": 10,
    "seedZero": None,
}
seed_zero = torch.Generator().manual_seed(0)
header["seedZero"] = store(torch.stack([torch.randn((4, 3, 8, 8), generator=seed_zero) for _ in range(10)]))

DATA.mkdir(parents=True, exist_ok=True)
lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in cases)
(DATA / "schedulers.json").write_text(json.dumps(header, indent=2)[:-2] + ',\n  "cases": [\n' + lines + "\n]}\n")
(DATA / "schedulers.bin").write_bytes(blob)
print(len(cases), "cases,", len(blob), "bytes")
