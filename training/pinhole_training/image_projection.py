"""How an IP-Adapter makes tokens of what the vision encoder says, as modules with the names that its files have."""

import torch
import torch.nn.functional as F
from torch import nn

from .networks import CONTEXT_WIDTH

LINEAR_TOKENS, RESAMPLED_TOKENS = 4, 8
#: diffusers takes every Plus file for one of four layers with heads of 64.
LAYERS, HEAD_WIDTH = 4, 64


class LinearProjection(nn.Module):
    """Image embeds (n, 128) to four tokens (n, 4, 128), as the first IP-Adapter does it."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(CONTEXT_WIDTH, LINEAR_TOKENS * CONTEXT_WIDTH)
        self.norm = nn.LayerNorm(CONTEXT_WIDTH)

    def forward(self, embeds: torch.Tensor) -> torch.Tensor:
        return self.norm(self.proj(embeds).view(-1, LINEAR_TOKENS, CONTEXT_WIDTH))


class _PerceiverAttention(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_kv = nn.Linear(width, 2 * width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)

    def forward(self, images: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        queries = self.norm2(latents)
        key, value = self.to_kv(torch.cat([self.norm1(images), queries], 1)).chunk(2, -1)
        split = lambda x: x.unflatten(-1, (-1, HEAD_WIDTH)).transpose(1, 2)
        seen = F.scaled_dot_product_attention(split(self.to_q(queries)), split(key), split(value))
        return self.to_out(seen.transpose(1, 2).flatten(2))


def _feed_forward(width: int) -> nn.Sequential:
    wide, narrow = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
    return nn.Sequential(nn.LayerNorm(width), wide, nn.GELU(), narrow)


class Resampler(nn.Module):
    """The vision encoder's states (n, 50, 128) to eight tokens (n, 8, 128), as IP-Adapter Plus does it.

    InstantID's takes a face's embedding (n, 1, 512) in their place, and may work in fewer channels.
    """

    def __init__(self, channels: int = CONTEXT_WIDTH, width: int = CONTEXT_WIDTH) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, RESAMPLED_TOKENS, width) / width**0.5)
        self.proj_in, self.proj_out = nn.Linear(channels, width), nn.Linear(width, CONTEXT_WIDTH)
        self.norm_out = nn.LayerNorm(CONTEXT_WIDTH)
        self.layers = nn.ModuleList(nn.ModuleList([_PerceiverAttention(width), _feed_forward(width)]) for _ in range(LAYERS))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        images, latents = self.proj_in(states), self.latents.expand(len(states), -1, -1)
        for attention, feed_forward in self.layers:
            latents = attention(images, latents) + latents
            latents = feed_forward(latents) + latents
        return self.norm_out(self.proj_out(latents))
