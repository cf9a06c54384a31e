"""A process that times the package on its path, one order after another.

It reads a JSON order a line: {'make': {'kind', 'fields', 'batch'}} compiles a workload
and answers with its XLA cost, {'time': calls} with the seconds of so many calls. What
the revision cannot do is answered with {'error': one line}.
"""

import contextlib
import json
import os
import sys
from typing import Any

# The folder that `speed` lies in; the package comes from PYTHONPATH, of any revision.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main() -> None:
    """Serves until its input ends."""
    answers, sys.stdout = sys.stdout, sys.stderr  # packages may print
    runner: Any = None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if "make" in order:
                runner = None  # its arrays leave before others come
                runner, answer = _make(**order["make"])
            else:
                answer = {"seconds": runner.seconds(order["time"])}
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            answer = {"error": text}
        print(json.dumps(answer), file=answers, flush=True)


def _make(kind: str, fields: dict[str, Any], batch: int) -> tuple[Any, dict[str, Any]]:
    import jax

    from speed import timing, workloads

    jax.config.update("jax_enable_compilation_cache", False)
    config = workloads.config_of(fields)
    runner = timing.Runner(workloads.make(kind, config, batch=batch))
    runner.seconds(1)  # the first call is slower
    return runner, runner.xla_cost() | {"compile_s": runner.compile_s}


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
