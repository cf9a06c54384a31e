"""Batches of changed images and their targets, made on the device."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from peer.backbone import normalized
from peer.data import Split
from peer.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    Batch = tuple[Tensor, list[Tensor], list[Tensor]]

_TRIES = 100


def batch_rows(count: int, recipe: Recipe) -> "Iterator[Tensor]":
    """Rows of each batch; every image once before one comes again."""
    import torch

    queue = torch.empty(0, dtype=torch.long)
    while True:
        while len(queue) < recipe.batch:
            queue = torch.cat([queue, torch.randperm(count)])
        rows, queue = queue[: recipe.batch], queue[recipe.batch :]
        yield rows


def draw_batch(split: Split, rows: "Tensor", recipe: Recipe) -> "Batch":
    """Augmented images and their targets.

    Returns:
      pixels [B, 3, H, W]; for each image masks [n, H, W] float32 and labels [n]. An
      image without a segment in its crop is left out.
    Raises:
      ValueError: again and again no crop has any.
    """
    for _ in range(_TRIES):
        if batch := _try_batch(split, rows, recipe):
            return batch
    raise ValueError(f"no segment in {_TRIES} crops of images {rows.tolist()}")


def _try_batch(split: Split, rows: "Tensor", recipe: Recipe) -> "Batch | None":
    from torch.nn import functional as f

    height, width = split.images.shape[2:]
    grid = _draw_grid(len(rows), (height, width), recipe, rows.device)
    image = split.images[rows].float() / 255
    image = f.grid_sample(image, grid, padding_mode="border", align_corners=False)
    number = f.grid_sample(
        split.numbers[rows, None].float(), grid, mode="nearest", align_corners=False
    )[:, 0].long()
    present = _present(number, split.labels.shape[1])
    kept = [k for k, found in enumerate(present) if len(found)]
    if not kept:
        return None
    masks, labels = [], []
    for k in kept:
        found = present[k].to(rows.device)
        masks.append((number[k] == found[:, None, None]).float())
        labels.append(split.labels[rows[k], found])
    return normalized(jitter_colors(image, recipe.color_jitter)[kept]), masks, labels


def _draw_grid(
    count: int, size: tuple[int, int], recipe: Recipe, device: "torch.device"
) -> "Tensor":
    """Where the pixels of random enlarged, cut, mirrored images lie in the old ones.

    Returns:
      [count, H, W, 2], x and y in [-1, 1], as `grid_sample` takes it.
    """
    import torch

    low, high = recipe.scale_jitter
    scale = low + (high - low) * torch.rand(count, device=device)
    sign = 1 - 2 * (torch.rand(count, device=device) < recipe.flip).float()
    room = (2 * torch.rand(count, 2, device=device) - 1) * (1 - 1 / scale)[:, None]
    y, x = (
        (2 * torch.arange(n, device=device) + 1) / n - 1 for n in size
    )  # pixel centres in [-1, 1]
    y = (1 / scale)[:, None] * y + room[:, :1]
    x = (sign / scale)[:, None] * x + room[:, 1:]
    return torch.stack(torch.broadcast_tensors(x[:, None], y[:, :, None]), -1)


def _present(number: "Tensor", most: int) -> "list[Tensor]":
    """The numbers but 0 that each of [B, H, W] has, on the host; all below `most`."""
    import torch

    count = len(number)
    at = number + most * torch.arange(count, device=number.device)[:, None, None]
    areas = torch.bincount(at.flatten(), minlength=count * most).view(count, most)
    return [(row > 0).nonzero()[:, 0] + 1 for row in areas[:, 1:].cpu()]


def jitter_colors(image: "Tensor", strength: float) -> "Tensor":
    """Brightness, contrast, saturation, hue; some grey. [B, 3, H, W] in [0, 1]."""
    import torch

    def draw(width: float) -> "Tensor":
        drawn = 2 * torch.rand(len(image), 1, 1, 1, device=image.device) - 1
        return drawn * width * strength * is_changed

    def chance(share: float) -> "Tensor":
        return (torch.rand(len(image), 1, 1, 1, device=image.device) < share).float()

    is_changed = chance(0.8)
    x = (image * (1 + draw(0.8))).clamp(0, 1)
    mean = x.mean((2, 3), keepdim=True)
    x = ((x - mean) * (1 + draw(0.8)) + mean).clamp(0, 1)
    to_yiq = torch.tensor(
        [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]]
    )
    to_rgb = torch.linalg.inv(to_yiq).to(image.device)
    y, i, q = torch.einsum("dc,bchw->dbhw", to_yiq.to(image.device), x)[:, :, None]
    chroma = (1 + draw(0.8)) * (1 - chance(0.2 if strength > 0 else 0.0))
    angle = 2 * math.pi * draw(0.2)
    cos, sin = chroma * angle.cos(), chroma * angle.sin()
    yiq = torch.cat([y, cos * i - sin * q, sin * i + cos * q], dim=1)
    return torch.einsum("cd,bdhw->bchw", to_rgb, yiq).clamp(0, 1)
