"""Trains for some minutes: rates by the clock, steps, the loss on the terminal."""

import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from peer.augmentation import batch_rows, draw_batch
from peer.backbone import LOADED_STAGES, backbone_of
from peer.data import Split
from peer.network import loss_of
from peer.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import nn


def parameter_groups(model: Any, recipe: Recipe) -> list[dict[str, Any]]:
    """Groups by learning rate and weight decay, `peak` is the largest rate."""
    from torch import nn

    no_decay = {
        parameter
        for module in model.modules()
        if isinstance(
            module, (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm, nn.Embedding)
        )
        for parameter in module.parameters()
    }
    no_decay.add(model.model.pixel_level_module.decoder.level_embed)
    backbone = backbone_of(model)
    random_stage = set(backbone.encoder.stages[LOADED_STAGES].parameters())
    loaded = set(backbone.parameters()) - random_stage
    groups: dict[tuple[float, float], list[Any]] = {}
    for parameter in filter(lambda p: p.requires_grad, model.parameters()):
        factor = recipe.backbone_lr_factor if parameter in loaded else 1.0
        decay = 0.0 if parameter in no_decay else recipe.weight_decay
        groups.setdefault((factor, decay), []).append(parameter)
    return [
        {"params": found, "weight_decay": decay, "peak": factor * recipe.learning_rate}
        for (factor, decay), found in groups.items()
    ]


def schedule(share: float, recipe: Recipe) -> float:
    """Factor of the learning rate after a share of the time: up, then linear to 0."""
    return min((share + 1e-3) / recipe.warmup, (1 - share) / (1 - recipe.warmup), 1.0)


def train(
    model: Any,
    frozen: "list[nn.Module]",
    split: Split,
    recipe: Recipe,
    device: "torch.device",
) -> dict[str, Any]:
    """Trains until the time is over; prints every 10 s.

    Args:
      model: on the device; changed.
      frozen: batch-norms that use and keep the statistics they have.
      split: the training images.
      recipe: the numbers.
      device: of the model.
    Returns:
      Steps, images, seconds, images/s, the last mean loss, steps left out.
    """
    import torch

    model.train()
    for norm in frozen:
        norm.eval()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameter_groups(model, recipe),
        lr=recipe.learning_rate,
        fused=device.type == "cuda",
    )
    batches = batch_rows(len(split.ids), recipe)
    losses: list[float] = []
    steps = images = skipped = 0
    budget, begun = 60 * recipe.minutes, time.monotonic()
    mean = math.nan
    shown = begun
    while (elapsed := time.monotonic() - begun) < budget:
        pixels, masks, labels = draw_batch(split, next(batches).to(device), recipe)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * schedule(elapsed / budget, recipe)
        loss = loss_of(model, pixels, masks, labels)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.clip_norm)
        steps, images = steps + 1, images + len(pixels)
        if math.isfinite(norm.item()):
            optimizer.step()
            losses.append(loss.item())
        else:
            skipped += 1
        now = time.monotonic()
        if now - shown >= 10 or steps == 1 or now - begun >= budget:
            mean = float(np.mean(losses)) if losses else math.nan
            print(
                f"step {steps}, loss {mean:.3f}, {images / (now - begun):.2f} images/s,"
                f" {max(0.0, budget - now + begun):.0f} s left",
                flush=True,
            )
            shown, losses = now, []
    seconds = time.monotonic() - begun
    made = {"steps": steps, "images": images, "seconds": seconds, "loss": mean}
    made |= {"images_per_second": images / seconds, "skipped_steps": skipped}
    if device.type == "cuda":
        made["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    return made
