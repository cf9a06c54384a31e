"""Panoptic toy scenes drawn on the fly: the main job without any files."""

import ml_collections

from pix2seq_d import config as config_lib

VARIANTS = ("tiny", "small")


def get_config(variant: str = "tiny") -> ml_collections.ConfigDict:
    if variant not in VARIANTS:
        raise ValueError(
            f"unknown variant {variant!r} of shapes; choose one of {VARIANTS}"
        )
    config = config_lib.default()
    config.data.source.name = "shapes"
    config.data.loader = "memory"
    # 9 classes and void fit 4 bits. Stuff keeps instance id 0 (KITTI-STEP's rule,
    # spec 1.2), so the ids are there for the at most 6 things.
    config.model.update(num_classes=0, bits_per_channel=4)
    config.data.ids.stuff = False
    match variant:
        case "tiny":
            _tiny(config)
        case "small":
            _small(config)
    return config


def _tiny(config: ml_collections.ConfigDict) -> None:
    """1.2 M parameters, 8 GFLOP a step: minutes on two CPU cores.

    Reaches PQ 64 to 66 on the 256 validation scenes (docs/results/shapes_tiny.md).
    """
    config.model.update(image_size=(64, 64), mask_size=(32, 32), max_instances=16)
    # The id of an object's place in a grid of 4 x 4 (ours): after as many steps PQ 65,
    # with ids drawn from 1 to 7 it was 59.
    config.data.ids.order = "place"
    # Objects have few pixels in a mask of 32 px: with the paper's 0.1 their ids drown
    # in the noise until the last steps. Ours; docs/results/shapes_tiny.md.
    config.model.bit_scale = 0.45
    config.model.resnet.update(depth=14, width=0.25)
    config.model.encoder.update(
        num_layers=2, dim=64, mlp_dim=256, num_heads=4, dropout=0.0, drop_path=0.0
    )
    config.model.pyramid.dim = 32
    config.model.decoder.update(
        dim=32,
        channel_multipliers=(1, 2),
        num_res_blocks=(1, 1),
        in_strides=2,
        transformer_dim=64,
        transformer_layers=3,
        head_dim=16,
    )
    config.diffusion.update(num_steps=10, noise_draws=2)
    config.optimizer.update(
        peak_lr=3e-3, end_lr_factor=0.0, warmup_steps=100, b2=0.99, ema_decay=0.99
    )
    config.train.update(batch_size=8, num_steps=3000)
    config.train.eval_at_start = True  # the demo compares with it
    config.train.tensorboard = False  # importing TensorFlow takes up to 15 s
    config.evaluation.min_area = 20


def _small(config: ml_collections.ConfigDict) -> None:
    """3.9 M parameters, scenes and masks of 128 px: minutes on a GPU."""
    # Twice the side of `tiny`, so that a pixel of an object's outline weighs less.
    config.model.update(image_size=(128, 128), mask_size=(128, 128), max_instances=16)
    config.data.ids.order = "place"  # as in `tiny`
    # Objects have more pixels than in a mask of 32 px, so that the ids stand out at the
    # same noise with less than the 0.45 of `tiny`.
    config.model.bit_scale = 0.2
    # Stem stride 2: a bar is 6 px wide. Maps of 64, 32 and 16 px.
    config.model.resnet.update(depth=14, width=0.375, stem_stride=2)
    config.model.encoder.update(
        num_layers=3, dim=128, mlp_dim=512, num_heads=4, dropout=0.0, drop_path=0.0
    )
    config.model.pyramid.dim = 48
    config.model.decoder.update(
        dim=32,
        channel_multipliers=(1, 2, 3),
        num_res_blocks=(1, 1, 1),
        in_strides=2,
        transformer_dim=128,
        transformer_layers=4,
        head_dim=32,
    )
    config.diffusion.update(
        num_steps=5, noise_draws=2, loss_weight_power=0.4, time_difference=3.0
    )
    config.optimizer.update(
        peak_lr=2e-3, end_lr_factor=0.0, warmup_steps=500, b2=0.99, ema_decay=0.998
    )
    config.train.update(
        batch_size=64, num_steps=7000, checkpoint_every=1000, dtype="bfloat16"
    )
    config.data.source.train_images = 64_000
    # What is seen of a thing is about 1.5 % of a scene or more; the smallest of the
    # validation scenes has 227 px.
    config.evaluation.update(batch_size=64, min_area=220, split_ids=True)
