"""A training, set up: data, program, checkpoint to go on from, and its run."""

import dataclasses
from contextlib import ExitStack
from pathlib import Path

import jax

from pix2seq_d.config import Config
from pix2seq_d.convert import start
from pix2seq_d.data import sources
from pix2seq_d.labels import LabelSpace
from pix2seq_d.models import parameter_count
from pix2seq_d.sharding import mesh as meshes
from pix2seq_d.sharding.gather import gather
from pix2seq_d.training import interrupt, length, lock
from pix2seq_d.training import program as programs
from pix2seq_d.training import state as states
from pix2seq_d.training import workdir as workdirs
from pix2seq_d.training.evaluate import make_predictor
from pix2seq_d.training.journal import Journal, say
from pix2seq_d.training.profile import Profile
from pix2seq_d.training.program import Program
from pix2seq_d.training.run import Batches, Run
from pix2seq_d.training.state import TrainState
from pix2seq_d.training.store import CheckpointStore
from pix2seq_d.training.writer import is_evaluated, make_writers


def train(
    config: Config, workdir: Path, *, profile_steps: tuple[int, int] | None = None
) -> TrainState:
    """Trains, or goes on from the latest checkpoint in `workdir`.

    Writes `config.json`, `metrics.jsonl`, `checkpoints/`, `ledger.json` and TensorBoard
    files.

    Args:
      config: what to train.
      workdir: made if absent; one training only.
      profile_steps: (first, last) step of a trace, written to `profile/`.
    Returns:
      The state at the end.
    Raises:
      ConfigError: a field is wrong, or the workdir holds another training.
      CheckpointError: the state could not be restored or saved.
      NonFiniteError: the loss or the gradient norm became infinite or NaN.
      Stopped: SIGTERM, SIGINT or SIGHUP came; the state is saved.
    """
    with ExitStack() as stack:
        interruption = stack.enter_context(
            interrupt.watch(several=jax.process_count() > 1)
        )
        source, eval_source = (
            sources.make_source(
                config.data.source,
                train=train,
                size=config.model.image_size,
                max_missing=config.data.max_skipped if train else 0,
            )
            for train in (True, False)
        )
        source = sources.with_past(
            source, config.model.num_cond_frames, name=config.data.source.name
        )
        labels = source.label_space
        sources.check_labels(labels, eval_source.label_space)
        config = sources.with_label_space(config, labels)
        config = length.with_lengths(config, len(source))
        mesh = meshes.make_mesh(**dataclasses.asdict(config.sharding))
        program = programs.make(config, mesh)
        workdir = workdir.resolve()
        stack.enter_context(lock.hold(workdir))
        workdirs.claim(workdir, config)
        store = stack.enter_context(
            CheckpointStore(
                workdir, keep=config.train.keep, keep_best=config.train.keep_best
            )
        )
        resumed = store.resume(program.state, num_images=len(source))
        if resumed is None:
            state, first_step = fresh_state(config, labels, program), 0
        else:
            state, first_step = resumed.state, resumed.step
            for note in resumed.notes:
                say(note)
            sources.check_labels(resumed.labels, labels)
        evaluated = first_step > 0 and is_evaluated(workdir, first_step)
        evaluated = gather(evaluated)[0]
        ended = first_step >= config.train.num_steps
        if ended and evaluated:
            say(f"{workdir} is trained to step {first_step} already; nothing to do")
            return state
        say(
            f"{'going on from step ' + str(first_step) if first_step else 'training'}: "
            f"{parameter_count(state.variables['params']) / 1e6:.2f} M parameters, "
            f"{len(source)} images, {mesh.size} x {jax.devices()[0].device_kind}"
        )
        writers = []
        if jax.process_index() == 0:
            writers = make_writers(
                workdir,
                resume_step=first_step,
                tensorboard=config.train.tensorboard,
                wandb=config if config.train.wandb else None,
            )
        for writer in writers:
            stack.callback(writer.close)
        batches: Batches = iter(())
        if not ended:
            batches = sources.train_batches(
                source,
                config,
                mesh=mesh,
                start_step=first_step,
                process_index=jax.process_index(),
                process_count=jax.process_count(),
            )
            stack.callback(batches.close)
        profile = Profile(workdir, profile_steps)
        stack.callback(profile.close)
        run = Run(
            config=config,
            workdir=workdir,
            labels=labels,
            num_images=len(source),
            program=program,
            store=store,
            journal=Journal(workdir, config, first_step=first_step, writers=writers),
            interruption=interruption,
            profile=profile,
            predictor=make_predictor(config, mesh),
            eval_source=eval_source,
        )
        return run.run(state, batches, first_step=first_step, evaluated=evaluated)


def fresh_state(config: Config, labels: LabelSpace, program: Program) -> TrainState:
    """The state at step 0: drawn, or from the weights that `init` names."""
    key = jax.random.key(config.train.seed)
    started = start.start(config, labels, key=key)
    if started is None:
        return program.init(key)
    say(str(started.report))
    made = states.of(started.variables, started.ema, optimizer=program.optimizer)
    return jax.device_put(made, jax.tree.map(lambda leaf: leaf.sharding, program.state))
