"""The evaluation of a training that goes on: its moving average, as scalars."""

from collections.abc import Callable

import jax
import numpy as np

from pix2seq_d.config import Config
from pix2seq_d.data.source import Source
from pix2seq_d.evaluation.runner import Evaluation, Report
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.training.state import TrainState


def evaluate_ema(
    state: TrainState,
    predictor: Predictor,
    source: Source,
    config: Config,
    *,
    check: Callable[[], None],
) -> Report:
    """Evaluates the moving average on the leading `train.eval_images` images.

    All processes have to call it, and get the same report.

    Args:
      state: of the training.
      predictor: of its config.
      source: labelled images.
      config: of the training.
      check: called before each batch, equally often in all processes; what it raises
        ends the evaluation.
    """

    def predict(images: np.ndarray, index: np.ndarray) -> np.ndarray:
        check()
        return predictor.labels(state.ema, images, index)

    evaluation = Evaluation(
        predict,
        source,
        eval_settings(config, predictor.mesh),
        limit=config.train.eval_images or None,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )
    for _ in evaluation:
        pass
    return evaluation.report()


def eval_scalars(report: Report) -> dict[str, float]:
    """{'eval/pq', 'eval/things_pq', ..., 'eval/oracle_pq'}, fractions."""
    scalars = {"eval/oracle_pq": report.oracle["All"]["pq"]}
    for group, prefix in (("All", ""), ("Things", "things_"), ("Stuff", "stuff_")):
        for name in ("pq", "sq", "rq"):
            scalars[f"eval/{prefix}{name}"] = report.pq[group][name]
    return scalars


def eval_line(report: Report, step: int, num_steps: int) -> str:
    """One line for people: PQ of all, things, stuff, and the oracle."""
    values = [100 * report.pq[g]["pq"] for g in ("All", "Things", "Stuff")]
    return (
        f"evaluation at step {step}/{num_steps} on {report.num_images} images: "
        f"PQ {values[0]:.1f}  things {values[1]:.1f}  stuff {values[2]:.1f}  "
        f"(oracle {100 * report.oracle['All']['pq']:.1f})"
    )
