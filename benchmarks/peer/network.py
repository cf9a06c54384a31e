"""Mask2Former: its config and initial values, its loss, its logits."""

import dataclasses
from typing import TYPE_CHECKING, Any

from peer.backbone import BLOCKS, LOADED_STAGES, backbone_of, normalized
from peer.data import Split
from peer.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


@dataclasses.dataclass(frozen=True)
class Logits:
    """What the network says of one image, float32, in names of `transformers`.

    Attributes:
      class_queries_logits: [1, queries, classes + 1]; the last one is "no object".
      masks_queries_logits: [1, queries, h, w].
      size: height and width of the image.
    """

    class_queries_logits: "Tensor"
    masks_queries_logits: "Tensor"
    size: tuple[int, int]


def build_model(num_labels: int, recipe: Recipe) -> Any:
    """Mask2Former with a ResNet-50 v1, random as the paper's code has it."""
    import transformers

    backbone = transformers.ResNetConfig(
        depths=list(BLOCKS),
        downsample_in_bottleneck=True,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.Mask2FormerConfig(
        backbone_config=backbone, num_labels=num_labels, **recipe.model
    )
    model = transformers.Mask2FormerForUniversalSegmentation(config)
    _reset(model)
    _keep_float32(model.model.pixel_level_module.decoder)
    return model


def _reset(model: Any) -> None:
    """Draws anew what `transformers` begins otherwise than the paper's code."""
    from torch import nn

    decoder = model.model.pixel_level_module.decoder
    queries = model.model.transformer_module
    for weight in (
        queries.queries_embedder.weight,
        queries.queries_features.weight,
        queries.level_embed.weight,
        decoder.level_embed,
    ):
        nn.init.normal_(weight)
    for layer in decoder.encoder.layers:
        nn.init.xavier_uniform_(layer.fc1.weight)
        nn.init.xavier_uniform_(layer.fc2.weight)
    for name, module in decoder.named_modules():
        if isinstance(module, nn.Conv2d) and "input_projections" in name:
            nn.init.xavier_uniform_(module.weight)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, a=1)
    for module in (model.class_predictor, *queries.decoder.mask_predictor.modules()):
        if isinstance(module, nn.Linear):
            module.reset_parameters()
    for module in backbone_of(model).encoder.stages[LOADED_STAGES].modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()


def _keep_float32(module: "nn.Module") -> None:
    """Takes a module of feature maps out of the mixed precision, as the paper does."""
    import torch

    forward = module.forward

    def run(features: Any, *args: Any, **keywords: Any) -> Any:
        features = [x.float() for x in features]
        with torch.autocast(features[0].device.type, enabled=False):
            return forward(features, *args, **keywords)

    module.forward = run


def loss_of(
    model: Any, pixels: "Tensor", masks: "list[Tensor]", labels: "list[Tensor]"
) -> "Tensor":
    """The model's own loss, in float32; the network in bfloat16 where it may."""
    import torch

    with torch.autocast(pixels.device.type, torch.bfloat16):
        made = model(pixel_values=pixels, output_auxiliary_logits=True)
    auxiliary = [
        {name: value.float() for name, value in layer.items()}
        for layer in made.auxiliary_logits
    ]
    parts = model.get_loss_dict(
        masks_queries_logits=made.masks_queries_logits.float(),
        class_queries_logits=made.class_queries_logits.float(),
        mask_labels=masks,
        class_labels=labels,
        auxiliary_predictions=auxiliary,
    )
    return model.get_loss(parts)


def predict(model: Any, split: Split, device: "torch.device") -> list[Logits]:
    """The logits of every image, a batch of one each; they stay on the device."""
    import torch

    model.eval()
    height, width = split.images.shape[2:]
    found = []
    for row in range(len(split.ids)):
        pixels = normalized(split.images[row : row + 1].float() / 255)
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            made = model(pixel_values=pixels)
        found.append(
            Logits(
                made.class_queries_logits.float(),
                made.masks_queries_logits.float(),
                (height, width),
            )
        )
    return found
