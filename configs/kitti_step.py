"""KITTI-STEP as the paper's code trains on it: --config.data.source.root=DIR.

A model of COCO is fine-tuned (spec 5.2):

  python -m launch.train --config=kitti_step --workdir=work/kitti \
      --config.data.source.root=DIR --config.init.from=work/coco_high

No result is published (spec 8.3). Not run here.

Tags of sources: [code] the released code, [memory H|M] and [secondary] as in the spec,
[derived] computed from these, [ours] unknown or our own.
"""

import ml_collections

from pix2seq_d import config as config_lib
from pix2seq_d.config import debug

VARIANTS = ("paper", "single_gpu", "debug")


def get_config(variant: str = "paper") -> ml_collections.ConfigDict:
    if variant not in VARIANTS:
        raise ValueError(
            f"unknown variant {variant!r} of kitti_step; choose one of {VARIANTS}"
        )
    config = config_lib.default()
    config.data.source.update(name="kitti_step", train_split="train", eval_split="val")
    config.data.ids.update(  # spec 1.2: stuff has no ids, tracks keep their own
        stuff=False, crowd="class", own=True, order="shuffle"
    )
    config.model.update(
        image_size=(384, 1248),  # [code]
        mask_size=(192, 624),  # [code]
        num_cond_frames=2,  # [code]
        num_classes=20,  # 19 and void [derived]
        max_instances=256,  # [code]
        bit_scale=0.1,  # [code], [secondary]
        prediction="x_softmax_xent",  # [code]
        softmax_groups=2,  # [code]
        conditioning=("concat", "cross_attention"),  # [code]
        self_conditioning="none",  # [code]
    )
    config.model.encoder.update(dropout=0.1, drop_path=0.1)  # [code]
    config.model.decoder.dropout = 0.0  # [code]
    config.diffusion.update(
        loss_weight_power=0.2,  # [code]
        num_steps=32,  # first frame [secondary], of DAVIS
        num_steps_next=8,  # [secondary], of DAVIS
        time_difference=1.0,  # [memory M], of DAVIS
    )
    config.optimizer.update(
        peak_lr=1e-5,  # [code] has 1e-5 and 3e-5; which was chosen is unknown
        end_lr_factor=1.0,  # [code]
        warmup_steps=0,  # [code]
        weight_decay=0.05,  # [code]
        b1=0.9,  # [code]
        b2=0.999,  # [code]
        clip_norm=1.0,  # [code]
        ema_decay=0.99,  # [code]
    )
    config.train.update(batch_size=32, num_steps=50_000)  # [code]
    config.train.update(checkpoint_every=1000, keep=10)  # [code]
    config.train.dtype = "bfloat16"  # [ours]
    config.data.update(
        scale_jitter=(1.0, 1.0),  # [code]
        color_jitter=0.0,  # [code]
        flip=0.5,  # [code]
        frame_dropout=0.2,  # [code]
    )
    config.evaluation.batch_size = 8  # videos at once [ours]
    match variant:
        case "single_gpu":
            _single_gpu(config)
        case "debug":
            debug.shrink(config, image_size=(64, 208), mask_size=(32, 104))
    return config


def _single_gpu(config: ml_collections.ConfigDict) -> None:
    """The whole recipe, the batch clip by clip; [ours], not run.

    `launch.train --config=kitti_step:single_gpu --dry_run`: 0.18 days on an H100, 1.5
    on an L4 of 24 GB, at 40 % of their peaks. 80 GB: grad_accumulation=8.
    """
    config.train.update(
        grad_accumulation=32, remat="dots", freeze_batch_norm=True, keep=3
    )
