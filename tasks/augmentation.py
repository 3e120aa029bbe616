"""Random label-preserving changes of 1-D signals and of images, drawn anew for every example.

Signals are (batch, 1, length), images (batch, channels, height, width); a strength of zero changes nothing. Draws come
from a CPU generator and are then moved, so that they are the same on every device.
"""

import math

import torch
from torch.nn import functional

Strength = float | torch.Tensor


def shift(x: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Rotate each signal by a whole number of places, uniform in [-most, most]."""
    if most == 0:
        return x
    batch, _, length = x.shape
    offset = torch.randint(-most, most + 1, (batch, 1, 1), generator=generator)
    places = (torch.arange(length) + offset) % length
    return x.gather(2, places.to(x.device))


def noise(x: torch.Tensor, strength: Strength, generator: torch.Generator) -> torch.Tensor:
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


def smooth_noise(x: torch.Tensor, strength: float, generator: torch.Generator, places: int) -> torch.Tensor:
    """Add noise of standard deviation ``strength``: a moving average of white noise over ``places`` places."""
    if strength == 0:
        return x
    white = torch.randn(len(x), 1, x.shape[2] + places - 1, generator=generator)
    return x + (strength * math.sqrt(places) * functional.avg_pool1d(white, places, stride=1)).to(x.device)


def stretch(x: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    """Stretch each signal about its middle by exp(a), a ~ normal(0, strength), linear between places; ends repeat."""
    if strength == 0:
        return x
    batch, _, length = x.shape
    places = torch.exp(-strength * torch.randn(batch, 1, generator=generator)) * torch.linspace(-1, 1, length)
    grid = torch.stack([places, torch.zeros_like(places)], dim=2)[:, None].to(x.device)
    return functional.grid_sample(x[:, :, None], grid, padding_mode="border", align_corners=True)[:, :, 0]


def affine(
    x: torch.Tensor,
    rotation: Strength,
    zoom: Strength,
    shear: Strength,
    translation: Strength,
    generator: torch.Generator,
) -> torch.Tensor:
    """Turn, zoom, shear and move each image about its middle, in one resampling; outside it is zero.

    Each is uniform in plus or minus its strength: ``rotation`` in degrees, ``zoom`` as the logarithm of a factor,
    ``shear`` as a slope, ``translation`` as a share of the side. Differentiable in strengths that are tensors.
    """
    if rotation == zoom == shear == translation == 0:
        return x
    angle, scale, slope, right, down = 2 * torch.rand(5, len(x), generator=generator) - 1
    turn = rotation * (math.pi / 180) * angle
    cosine, sine = torch.cos(turn) * torch.exp(-zoom * scale), torch.sin(turn) * torch.exp(-zoom * scale)
    first = torch.stack([cosine, shear * slope * cosine - sine, 2 * translation * right], dim=1)  # the side is 2 long
    second = torch.stack([sine, shear * slope * sine + cosine, 2 * translation * down], dim=1)
    maps = torch.stack([first, second], dim=1).to(x.device, x.dtype)
    grid = functional.affine_grid(maps, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, align_corners=False)


def mirror(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Swap left and right in each image with probability 1/2."""
    swapped = torch.rand(len(x), 1, 1, 1, generator=generator) < 0.5
    return torch.where(swapped.to(x.device), x.flip(3), x)


def crop(x: torch.Tensor, most: int, generator: torch.Generator) -> torch.Tensor:
    """Move each image by whole pixels, uniform in [-most, most] in both directions; what comes in is zero.

    The same as a random crop of an image that is padded by ``most``.
    """
    if most == 0:
        return x
    batch, channels, height, width = x.shape
    down, right = torch.randint(2 * most + 1, (2, batch, 1), generator=generator)
    rows = (torch.arange(height) + down)[:, None, :, None].to(x.device)
    columns = (torch.arange(width) + right)[:, None, None, :].to(x.device)
    padded = functional.pad(x, [most] * 4)
    taken = padded.gather(2, rows.expand(-1, channels, -1, width + 2 * most))
    return taken.gather(3, columns.expand(-1, channels, height, -1))


def cutout(x: torch.Tensor, side: int, generator: torch.Generator) -> torch.Tensor:
    """Set a square of ``side`` pixels in each image to zero; its middle is uniform over the image (DeVries & Taylor
    2017, arXiv:1708.04552), so that it may reach beyond the edge."""
    if side == 0:
        return x
    batch, _, height, width = x.shape
    down, right = torch.rand(2, batch, 1, generator=generator)
    rows = torch.arange(height) - (down * height).floor() + side // 2
    columns = torch.arange(width) - (right * width).floor() + side // 2
    inside_rows, inside_columns = (rows >= 0) & (rows < side), (columns >= 0) & (columns < side)
    hidden = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
    return x.masked_fill(hidden.to(x.device), 0.0)
