"""The configuration: frozen dataclasses, their checks, and ml-collections in and out.

Config files start from `default()`, a locked ConfigDict with every field below;
library code only ever sees the dataclasses, which are hashable and so can be
static arguments of jitted functions. Source tags are those of the spec.
"""

from pix2seq_d.config.convert import (
    default,
    flatten,
    from_config_dict,
    from_saved,
    to_config_dict,
)
from pix2seq_d.config.errors import ConfigError
from pix2seq_d.config.model import (
    DecoderConfig,
    EncoderConfig,
    ModelConfig,
    PyramidConfig,
    ResNetConfig,
)
from pix2seq_d.config.training import (
    Config,
    DataConfig,
    DiffusionConfig,
    EvaluationConfig,
    InitConfig,
    OptimizerConfig,
    PastNoiseConfig,
    ScheduleConfig,
    ShardingConfig,
    SourceConfig,
    TrainConfig,
)

__all__ = [
    "Config",
    "ConfigError",
    "DataConfig",
    "DecoderConfig",
    "DiffusionConfig",
    "EncoderConfig",
    "EvaluationConfig",
    "InitConfig",
    "ModelConfig",
    "OptimizerConfig",
    "PastNoiseConfig",
    "PyramidConfig",
    "ResNetConfig",
    "ScheduleConfig",
    "ShardingConfig",
    "SourceConfig",
    "TrainConfig",
    "default",
    "flatten",
    "from_config_dict",
    "from_saved",
    "to_config_dict",
]
