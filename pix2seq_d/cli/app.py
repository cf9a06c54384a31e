"""What all commands share: flags, config files by name, errors in one line."""

import difflib
import io
import os
import sys
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import ml_collections
from absl import flags
from ml_collections import config_flags

from pix2seq_d import assets
from pix2seq_d.training import interrupt

if TYPE_CHECKING:
    from pix2seq_d import config as config_lib

TRACEBACK_VARIABLE = "PIX2SEQ_D_TRACEBACK"

# In a checkout configs/ lies beside the package, installed it is inside.
_PACKAGE = Path(__file__).resolve().parent.parent
CONFIG_FOLDERS = (_PACKAGE / "configs", _PACKAGE.parent / "configs")

# Flags that name something on a disk, in whatever command they are.
_PATHS = ("workdir", "output", "checkpoint")

# What --checkpoint takes, as its help says it.
CHECKPOINT = (
    "Workdir of launch.train, one checkpoint in it, a file of launch.export "
    f"--format=weights, or a shipped model: {', '.join(assets.names())}"
)

# What helps where the operating system refuses a path.
_CURES: dict[type[OSError], str] = {
    FileExistsError: "a file has this name: take another, or move it away",
    IsADirectoryError: "name a file",
    NotADirectoryError: "a file stands where a folder should: name another path",
    PermissionError: "take a path that you may read and write, or change its rights",
}

Main = Callable[[list[str]], int | None]


class UsageError(ValueError):
    """The command line is wrong; the message says what to pass."""


def run(main: Main, name: str, argv: Sequence[str] | None = None) -> int:
    """Runs a command; what the user can mend ends in one line, exit status 1.

    Args:
      main: takes the arguments after the command's name; returns the exit status,
        None where all went well.
      name: of the command, begins the line.
      argv: arguments; None takes those of the process.
    Returns:
      The exit status; 75 where a training saved its state and stopped, as a signal
      asked it to: the same command goes on.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A class named in Greek is no reason to fail where the locale is C.
        sys.stdout.reconfigure(errors="replace")
    try:
        status = main(_joined(argv)) or 0
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted", file=sys.stderr)
        return _failed(130)
    except interrupt.Stopped:  # and has said so
        return interrupt.EXIT_STATUS
    except BrokenPipeError:
        # `| head` has read enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # what a shell says of a tool that SIGPIPE ended
    except Exception as error:
        is_known = isinstance(error, (ValueError, OSError, RuntimeError, flags.Error))
        if is_known and not os.environ.get(TRACEBACK_VARIABLE):
            text = f" error: {_one_line(error)}"
        elif _process():
            text = f"\n{traceback.format_exc()}"
        else:
            raise
        print(f"{name}{_process()}:{text}", file=sys.stderr)
        return _failed(1)


def _failed(status: int) -> int:
    """Ends a process of several at once; else `status` is the command's."""
    if _process():
        # At its end JAX would wait for the others, which wait for this one.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def new_flags() -> flags.FlagValues:
    """An empty set of flags, so that commands share a process, with `--help`."""
    values = flags.FlagValues()
    flags.DEFINE_boolean("help", False, "Show this help.", flag_values=values)
    return values


def define_config(values: flags.FlagValues, argv: Sequence[str]) -> None:
    """Adds `--config=FILE[:variant]` and `--config.field=value`."""
    # ml_collections loads a config file into the module of the one before.
    sys.modules.pop("config_config", None)
    config_flags.DEFINE_config_file(
        "config",
        None,
        "Config file and variant, e.g. configs/shapes.py:tiny, or shapes:tiny.",
        lock_config=True,
        flag_values=values,
        sys_argv=["", *argv],
    )


def parse(
    values: flags.FlagValues,
    argv: Sequence[str],
    doc: str,
    *,
    sections: Mapping[str, Sequence[str]] | None = None,
) -> bool:
    """Parses `argv`; False where only the help was wanted.

    Args:
      values: the flags.
      argv: the arguments.
      doc: begins the help.
      sections: title -> flags that the help lists under it, after the others.
    Raises:
      UsageError: an unknown flag, a wrong value, a stray argument, a path that is none.
    """
    if any(a in ("--help", "-help", "-h") for a in argv):
        print(f"{doc.rstrip()}\n\n{_help(values, sections or {})}")
        return False
    try:
        rest = values(["", *argv])
    except flags.Error as error:
        text = _one_line(error)
        if "Traceback" in text:  # ml_collections: what the config file raised
            raise UsageError(f"--config: {text.rpartition('Error: ')[2]}") from error
        raise UsageError(f"{text}; --help lists the flags") from error
    except Exception as error:  # whatever the user's config file does wrong
        kind = type(error).__name__
        raise UsageError(f"--config: {kind}: {_one_line(error)}") from error
    if len(rest) > 1:
        raise UsageError(f"unexpected argument {rest[1]!r}; --help lists the flags")
    _check_local(values)
    return True


def _check_local(values: flags.FlagValues) -> None:
    """Raises UsageError for a gs://... that would become a local folder `gs:`."""
    for name in _PATHS:
        given = values[name].value if name in values else None
        for value in given if isinstance(given, list) else [given or ""]:
            if "://" in value:
                raise UsageError(
                    f"--{name}={value} is no folder; mount the bucket (gcsfuse) and "
                    "give its path, or take a disk"
                )


def split_overrides(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """(`--config.field=value` arguments, for `override`; all others)."""
    overrides = [a for a in argv if a.lstrip("-").startswith("config.")]
    return overrides, [a for a in argv if a not in overrides]


def override(
    config: "config_lib.Config", overrides: Sequence[str], *, allowed: Sequence[str]
) -> "config_lib.Config":
    """Applies `--config.field=value` arguments to a checkpoint's config.

    Args:
      config: of the checkpoint.
      overrides: the arguments.
      allowed: beginnings of the fields that may be changed.
    Raises:
      UsageError: an unknown field, one that may not be changed, a wrong value.
    """
    from pix2seq_d import config as config_lib  # with JAX, which few commands need

    overrides = resolve_config(overrides)
    for argument in overrides:
        field = argument.lstrip("-").partition("=")[0].removeprefix("config.")
        if not field.startswith(tuple(allowed)):
            raise UsageError(
                f"--config.{field}: cannot be changed after training; only "
                f"{', '.join(allowed)} can"
            )
    values = flags.FlagValues()
    flag = config_flags.DEFINE_config_dict(
        "config",
        config_lib.to_config_dict(config),
        flag_values=values,
        sys_argv=["", *overrides],
    )
    try:
        values(["", *overrides])
    except flags.Error as error:
        raise UsageError(_one_line(error)) from error
    return config_lib.from_config_dict(flag.value)


def load_config(arguments: Sequence[str]) -> "config_lib.Config":
    """The config that `launch.train` makes of its `--config` arguments."""
    from pix2seq_d import config as config_lib

    argv = resolve_config(arguments)
    values = new_flags()
    define_config(values, argv)
    parse(values, argv, "")
    fields = values.config
    assert isinstance(fields, ml_collections.ConfigDict)
    return config_lib.from_config_dict(fields)


def require(values: flags.FlagValues, *names: str) -> None:
    """Raises UsageError where a flag was not given."""
    for name in names:
        if values[name].value in (None, ""):
            raise UsageError(f"--{name} is missing; --help explains it")


def resolve_config(argv: Sequence[str]) -> list[str]:
    """Replaces `--config=shapes:tiny` by the path of the file it means.

    Raises:
      UsageError: no such config, or an override of a field that does not exist.
    """
    from pix2seq_d import config as config_lib

    fields = config_lib.flatten(config_lib.Config())
    resolved = []
    for argument in argv:
        name = argument.lstrip("-").partition("=")[0]
        if name == "config.init.from":
            # A word of Python: ml_collections cannot read it in a path.
            argument = argument.replace(name, f"{name}_", 1)
            name = f"{name}_"
        if argument.startswith("-") and name.startswith("config."):
            field = name.removeprefix("config.")
            if field not in fields:
                near = difflib.get_close_matches(field, fields, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise UsageError(f"--{name}: unknown config field{hint}")
        if argument.startswith(("--config=", "-config=")):
            value = argument.split("=", 1)[1]
            path, colon, variant = value.partition(":")
            argument = f"--config={_config_path(path)}{colon}{variant}"
        resolved.append(argument)
    return resolved


def _config_path(name: str) -> str:
    if Path(name).is_file():
        return name
    stem = Path(name).stem
    for folder in CONFIG_FOLDERS:
        if (folder / f"{stem}.py").is_file() and name in (
            stem,
            f"configs/{stem}.py",
        ):
            return str(folder / f"{stem}.py")
    known = sorted(
        {
            path.stem
            for folder in CONFIG_FOLDERS
            for path in folder.glob("*.py")
            if not path.stem.startswith("_")
        }
    )
    raise UsageError(
        f"--config={name}: no such file; known configs: {', '.join(known)}"
    )


def _joined(argv: Sequence[str]) -> list[str]:
    """`--config.a.b 3` -> `--config.a.b=3`; absl joins all other flags itself."""
    joined: list[str] = []
    for argument in argv:
        before = joined[-1] if joined else ""
        is_open = before.startswith("--config") and "=" not in before
        if is_open and not argument.startswith("--"):
            joined[-1] = f"{before}={argument}"
        else:
            joined.append(argument)
    return joined


def _help(values: flags.FlagValues, sections: Mapping[str, Sequence[str]]) -> str:
    apart = {"help", *(name for names in sections.values() for name in names)}
    lines = [_flag_help(values[name]) for name in sorted(values) if name not in apart]
    for title, names in sections.items():
        lines += ["", title, *(_flag_help(values[name]) for name in names)]
    return "\n".join(lines)


def _flag_help(flag: flags.Flag) -> str:
    default = flag.default
    has_default = default is not False and default not in (None, "", [])
    if isinstance(default, list):
        default = ",".join(map(str, default))
    shown = f" (default {default})" if has_default else ""
    return textwrap.fill(
        f"  --{flag.name}: {flag.help}{shown}",
        width=88,
        subsequent_indent=" " * 6,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _process() -> str:
    """' (process 2 of 4)' in a job of several."""
    # jax.process_index() would wait for the others, which may know of no error.
    distributed = sys.modules.get("jax._src.distributed")
    state = getattr(distributed, "global_state", None)
    if state is None or state.client is None:
        return ""
    return f" (process {state.process_id} of {state.num_processes})"


def _one_line(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, KeyError) and len(error.args) == 1:
        text = str(error.args[0])
    if isinstance(error, OSError) and error.filename and error.strerror:
        paths = [os.fsdecode(p) for p in (error.filename, error.filename2) if p]
        text = f"{' -> '.join(paths)}: {error.strerror}"
        if len(paths) == 1 and type(error) in _CURES:
            text = f"{text}; {_CURES[type(error)]}"
    if "RESOURCE_EXHAUSTED" in text:
        return "the device is out of memory; lower the batch size or the image size"
    return " ".join(text.split()) or type(error).__name__
