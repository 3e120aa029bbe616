"""Random label-preserving changes of 1-D signals, drawn anew for every example.

Signals are (batch, 1, length); a strength of zero changes nothing. Draws come from a CPU generator and are then moved,
so that they are the same on every device.
"""

import torch


def shift(x: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Rotate each signal by a whole number of places, uniform in [-most, most]."""
    if most == 0:
        return x
    batch, _, length = x.shape
    offset = torch.randint(-most, most + 1, (batch, 1, 1), generator=generator)
    places = (torch.arange(length) + offset) % length
    return x.gather(2, places.to(x.device))


def noise(x: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Add white noise of standard deviation ``strength``."""
    if strength == 0:
        return x
    return x + strength * torch.randn(x.shape, generator=generator).to(x.device)


def ramp(x: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Add a straight line through the middle, from -a to a with a ~ normal(0, strength) for each signal."""
    if strength == 0:
        return x
    slope = strength * torch.randn(len(x), 1, 1, generator=generator)
    return x + (slope * torch.linspace(-1, 1, x.shape[2])).to(x.device)
