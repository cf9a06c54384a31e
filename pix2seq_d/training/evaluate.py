"""The evaluation of a training that goes on: its moving average, as scalars."""

import functools

from pix2seq_d.config import Config
from pix2seq_d.data.source import Source
from pix2seq_d.evaluation.runner import Evaluation, Report
from pix2seq_d.inference.predictor import Predictor, eval_settings
from pix2seq_d.training.state import TrainState


def evaluate_ema(
    state: TrainState, predictor: Predictor, source: Source, config: Config
) -> Report:
    """Evaluates the moving average on the leading `train.eval_images` images."""
    evaluation = Evaluation(
        functools.partial(predictor.labels, state.ema),
        source,
        eval_settings(config),
        limit=config.train.eval_images or None,
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
