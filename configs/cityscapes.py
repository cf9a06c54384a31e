"""Cityscapes panoptic, fine-tuned from COCO: --config.data.source.root=DIR.

No config of it was released. The paper fine-tunes its COCO model at one resolution
[memory H]; learning rate, length, batch and crop are not known (spec 5.2):

  python -m launch.train --config=cityscapes --workdir=work/cityscapes \
      --config.data.source.root=DIR --config.init.from=work/coco_high

The paper reports PQ 64.0 at 20 steps [memory M]. Not reproduced here.

Tags of sources: [code] the released code, [memory H|M] and [secondary] as in the spec,
[standard] of the dataset, [ours] unknown or our own.
"""

import ml_collections

from pix2seq_d import config as config_lib
from pix2seq_d.config import debug

VARIANTS = ("paper", "single_gpu", "debug")
TRAIN_IMAGES = 2975  # of the split train [standard]


def get_config(variant: str = "paper") -> ml_collections.ConfigDict:
    if variant not in VARIANTS:
        raise ValueError(
            f"unknown variant {variant!r} of cityscapes; choose one of {VARIANTS}"
        )
    config = config_lib.default()
    config.data.source.update(name="cityscapes", train_split="train", eval_split="val")
    config.data.ids.update(  # spec 1.2 [code]: every segment has an id, crowds too
        crowd="segment", order="distinct"
    )
    _paper(config)
    match variant:
        case "single_gpu":
            _single_gpu(config)
        case "debug":
            debug.shrink(config, image_size=(64, 128), mask_size=(32, 64))
    return config


def _paper(config: ml_collections.ConfigDict) -> None:
    """1024 x 2048 px; what is not known is that of COCO's high_res.

    By the TPU compiler a v5e:4x4 holds it in 16.8 of 16.9 GB, with train.remat=dots in
    10.8, a v6e:4x4 in 14.1 of 33.6 (docs/scaling.md).
    """
    config.model.update(
        image_size=(1024, 2048),  # of the loader [code]
        mask_size=(512, 1024),  # the introduction's example [secondary]
        num_classes=20,  # 19 and void [code]
        max_instances=101,  # [code]
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
        num_steps=20,  # [memory M]
        time_difference=2.0,  # [memory H], of COCO
    )
    config.optimizer.update(
        peak_lr=1e-5,  # [ours]
        end_lr_factor=0.1,  # [ours]
        warmup_steps=0,  # [ours]
        weight_decay=0.05,  # [code]
        b1=0.9,  # [code]
        b2=0.999,  # [code]
        clip_norm=1.0,  # [code]
        ema_decay=0.999,  # [ours]
    )
    config.train.update(
        batch_size=16,  # [ours]
        num_steps=TRAIN_IMAGES * 200 // 16 + 1,  # 200 epochs [ours]
        checkpoint_every=1000,  # [ours]
        keep=10,  # [code]
        dtype="bfloat16",  # [ours]
    )
    config.data.update(
        scale_jitter=(1.0, 1.0),  # one resolution [memory H]
        color_jitter=0.0,  # [ours]
        flip=0.5,  # [code]
    )
    config.evaluation.update(batch_size=4, min_area=40)  # [ours], [code]


def _single_gpu(config: ml_collections.ConfigDict) -> None:
    """Half the sides, one image at once; [ours], not run.

    `launch.train --config=cityscapes:single_gpu --dry_run`: 0.074 days on an H100, 0.6
    on an L4 of 24 GB, at 40 % of their peaks. 80 GB: grad_accumulation=4.
    """
    config.model.update(image_size=(512, 1024), mask_size=(256, 512))
    config.train.update(
        grad_accumulation=16, remat="dots", freeze_batch_norm=True, keep=3
    )
