"""What every training stage does alike: learning rate, moving average, checkpoints to resume from, a line of progress."""

import math
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

SAVE_EVERY_SECONDS = 120


class TrainingRun:
    """A run of a fixed number of optimizer steps that goes on where it was cut off.

    Random numbers are seeded from (seed, step), so a resumed run draws what an uncut one would have drawn. Running
    again with fewer steps ends the schedule earlier.
    """

    def __init__(
        self,
        checkpoint: Path,
        parameters: list[dict],
        steps: int,
        rate: float,
        seed: int,
        average: float = 0.998,
        warm_up: int = 40,
    ):
        self.checkpoint, self.steps, self.rate, self.seed, self.warm_up = checkpoint, steps, rate, seed, warm_up
        self.average = average
        self.parameters = [p for group in parameters for p in group["params"]]
        self.optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.99), weight_decay=1e-3)
        self._factors = [group.get("factor", 1.0) for group in self.optimizer.param_groups]
        self.averaged = [p.detach().clone() for p in self.parameters]
        self.step = 0
        if checkpoint.exists():
            state = torch.load(checkpoint, weights_only=True)
            self.step = state["step"]
            self.optimizer.load_state_dict(state["optimizer"])
            for p, value in zip(self.parameters, state["parameters"], strict=True):
                p.data.copy_(value)
            self.averaged = state["averaged"]
            print(f"resumed at step {self.step}", flush=True)

    def train(self, loss_of: Callable[[random.Random], torch.Tensor], report_every: int = 50) -> None:
        """Runs to the last step; `loss_of` draws a batch from the generator given and returns its loss."""
        losses: list[float] = []
        saved = reported = time.time()
        while self.step < self.steps:
            rng = self._seeded()
            loss = loss_of(rng)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
            self._set_rate()
            self.optimizer.step()
            self.step += 1
            self._move_average()
            losses.append(loss.item())
            if self.step % report_every == 0:
                now = time.time()
                pace = (now - reported) / report_every
                print(f"step {self.step}/{self.steps} loss {np.mean(losses[-report_every:]):.4f} {pace:.2f} s/step", flush=True)
                reported = now
            if time.time() - saved > SAVE_EVERY_SECONDS:
                self.save()
                saved = time.time()
        self.save()

    def use_average(self) -> None:
        """Puts the moving average of the weights into the modules."""
        with torch.no_grad():
            for p, value in zip(self.parameters, self.averaged, strict=True):
                p.copy_(value)

    def save(self) -> None:
        part = self.checkpoint.with_suffix(".part")
        state = {
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "parameters": [p.detach() for p in self.parameters],
            "averaged": self.averaged,
        }
        torch.save(state, part)
        os.replace(part, self.checkpoint)

    def _seeded(self) -> random.Random:
        torch.manual_seed(self.seed * 1_000_003 + self.step)
        return random.Random(self.seed * 1_000_003 + self.step)

    def _set_rate(self) -> None:
        done = self.step / self.steps
        rate = self.rate * min(1, (self.step + 1) / self.warm_up) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * done)))
        for group, factor in zip(self.optimizer.param_groups, self._factors, strict=True):
            group["lr"] = rate * factor

    def _move_average(self) -> None:
        keep = min(self.average, (self.step + 1) / (self.step + 20))
        with torch.no_grad():
            torch._foreach_lerp_(self.averaged, self.parameters, 1 - keep)
