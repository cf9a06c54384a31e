"""The embedded videos: things keep their ids while they cross, hide, leave and return.

`tiny` goes on from `shapes:tiny`, whose decoder gets the past masks as new inputs:

  python -m launch.train --config=shapes:tiny --workdir=work/shapes \
      --config.data.ids.order=random
  python -m launch.train --config=shapes_video:tiny --workdir=work/shapes_video \
      --config.init.from=work/shapes

Ids of clips are drawn: an object keeps its own while it moves.

`small` goes on from a model of the same network: --config.init.from=shapes takes the
shipped one. Scores, and what the shipped model of videos went on from:
docs/results/shapes_video.md.
"""

import ml_collections

from pix2seq_d import config as config_lib

VARIANTS = ("tiny", "small")


def get_config(variant: str = "tiny") -> ml_collections.ConfigDict:
    if variant not in VARIANTS:
        raise ValueError(
            f"unknown variant {variant!r} of shapes_video; choose one of {VARIANTS}"
        )
    config = config_lib.default()
    # train: 2,000 videos of 24 frames, every window of 3 is a clip; val: 40 videos.
    config.data.source.update(name="shapes_video", train_images=48_000, eval_images=960)
    config.data.ids.stuff = False  # as in shapes.py
    config.data.frame_dropout = 0.2  # the reference's (spec 5.2)
    # 15 ids: a window of 3 frames has up to 12 things, around a cut.
    config.model.update(
        num_cond_frames=2, num_classes=0, max_instances=16, bits_per_channel=4
    )
    # Ours: they make up for errors that a model hands on; docs/results/shapes_video.md.
    config.data.past_noise.update(drop=0.1, merge=0.05, shift=1)
    config.evaluation.min_area = 10  # DAVIS' (spec 6.2)
    match variant:
        case "tiny":
            _tiny(config)
        case "small":
            _small(config)
    return config


def _tiny(config: ml_collections.ConfigDict) -> None:
    """The model of shapes.py:tiny and inputs for two past masks."""
    config.model.update(image_size=(64, 64), mask_size=(32, 32), bit_scale=0.45)
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
    config.diffusion.update(num_steps=10, num_steps_next=4, noise_draws=2)
    config.optimizer.update(
        peak_lr=2e-3, end_lr_factor=0.0, warmup_steps=100, b2=0.99, ema_decay=0.99
    )
    config.train.update(batch_size=8, num_steps=5000)
    config.train.tensorboard = False  # importing TensorFlow takes up to 15 s
    config.evaluation.batch_size = 8


def _small(config: ml_collections.ConfigDict) -> None:
    """The network of shapes.py:small at 64 px, inputs for two past masks; for a GPU.

    The shipped model (docs/models.md). Its steps take minutes on a GPU; its 96,000
    frames have to be drawn before, or by the way.
    """
    config.model.update(image_size=(64, 64), mask_size=(64, 64), bit_scale=0.3)
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
        num_steps=10,
        num_steps_next=4,
        noise_draws=4,
        loss_weight_power=0.4,
        time_difference=3.0,
    )
    config.optimizer.update(
        peak_lr=1e-3, end_lr_factor=0.0, warmup_steps=200, b2=0.99, ema_decay=0.998
    )
    config.optimizer.ema_warmup = True
    config.data.source.train_images = 96_000
    config.train.update(batch_size=64, num_steps=8000, checkpoint_every=1000)
    config.evaluation.update(batch_size=16, split_ids=True)  # as in shapes.py
