"""Panoptic toy scenes drawn on the fly: the main job without any files."""

import ml_collections

from pix2seq_d import config as config_lib

VARIANTS = ("tiny",)


def get_config(variant: str = "tiny") -> ml_collections.ConfigDict:
    if variant not in VARIANTS:
        raise ValueError(
            f"unknown variant {variant!r} of shapes; choose one of {VARIANTS}"
        )
    config = config_lib.default()
    config.model.update(
        image_size=(64, 64),
        mask_size=(32, 32),
        num_classes=0,
        max_instances=16,
        bits_per_channel=4,
    )
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
    config.diffusion.num_steps = 10
    config.optimizer.update(
        peak_lr=2e-3, end_lr_factor=0.0, warmup_steps=100, ema_decay=0.995
    )
    config.train.update(batch_size=16, num_steps=3000)
    config.evaluation.min_area = 20
    config.data.source.name = "shapes"
    config.data.loader = "memory"
    config.train.tensorboard = False
    return config
