"""Any COCO-panoptic folder: --config.data.source.root=DIR.

DIR holds images/<split>/, panoptic_<split>.json and panoptic_<split>/*.png for the
splits `train` and `val`; classes come from the JSON. No score is claimed for any of
these; docs/results holds what was measured.
"""

import ml_collections

from pix2seq_d import config as config_lib

VARIANTS = ("tiny", "small", "paper")


def get_config(variant: str = "small") -> ml_collections.ConfigDict:
    if variant not in VARIANTS:
        raise ValueError(
            f"unknown variant {variant!r} of custom; choose one of {VARIANTS}"
        )
    config = config_lib.default()
    config.data.source.name = "coco_panoptic"
    config.data.scale_jitter = (1.0, 3.0)  # as the paper's low-resolution stage
    config.data.color_jitter = 1.0  # the same
    config.model.num_classes = 0  # from the JSON
    config.model.max_instances = 256  # all that 8 bits hold
    # Stuff without ids is learned faster by small models; the paper's COCO models
    # give every segment an id.
    config.data.ids.stuff = variant == "paper"
    if variant != "paper":
        # Things are told apart sooner than by drawn ids (docs/data.md). Of images: a
        # model of clips takes "random".
        config.data.ids.order = "place"
    match variant:
        case "tiny":
            _tiny(config)
        case "small":
            _small(config)
        case "paper":
            _paper(config)
    return config


def _tiny(config: ml_collections.ConfigDict) -> None:
    """1.7 M parameters, 128 px: to see that one's data works, on two CPU cores."""
    config.model.update(
        image_size=(128, 128), mask_size=(64, 64), max_instances=128, bits_per_channel=7
    )
    # As in shapes.py:tiny: instances have few pixels in so small a mask.
    config.model.bit_scale = 0.45
    config.model.resnet.update(depth=14, width=0.25)
    config.model.encoder.update(
        num_layers=2, dim=64, mlp_dim=256, num_heads=4, dropout=0.0, drop_path=0.0
    )
    config.model.pyramid.dim = 32
    config.model.decoder.update(
        dim=32,
        channel_multipliers=(1, 2, 2),
        num_res_blocks=(1, 1, 1),
        in_strides=2,
        transformer_dim=64,
        transformer_layers=3,
        head_dim=16,
    )
    config.diffusion.num_steps = 10
    config.optimizer.update(
        peak_lr=2e-3, end_lr_factor=0.0, warmup_steps=100, b2=0.99, ema_decay=0.99
    )
    config.train.update(batch_size=8, num_steps=2000)
    config.evaluation.batch_size = 8
    config.data.scale_jitter = (1.0, 1.5)
    config.data.color_jitter = 0.5


def _small(config: ml_collections.ConfigDict) -> None:
    """15 M parameters, 256 px: one GPU."""
    config.model.update(image_size=(256, 256), mask_size=(128, 128))
    config.model.resnet.width = 0.5
    config.model.encoder.update(num_layers=4, dim=256, mlp_dim=1024, num_heads=8)
    config.model.pyramid.dim = 128
    config.model.decoder.update(
        dim=64, transformer_dim=256, transformer_layers=4, head_dim=64
    )
    config.optimizer.update(peak_lr=5e-4, warmup_steps=500)
    config.train.update(
        batch_size=32, num_steps=20_000, checkpoint_every=1000, dtype="bfloat16"
    )
    config.evaluation.batch_size = 32


def _paper(config: ml_collections.ConfigDict) -> None:
    """The paper's model, 94.5 M parameters, at its low-resolution size (spec 5.2)."""
    config.model.update(image_size=(256, 256), mask_size=(128, 128))
    config.optimizer.update(peak_lr=1e-4, warmup_steps=1000)
    config.train.update(
        batch_size=64, num_steps=50_000, checkpoint_every=1000, dtype="bfloat16"
    )
    config.evaluation.batch_size = 32
