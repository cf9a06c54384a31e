"""A job that goes on from step 500 is told to stop while it saves (its own process).

Prints how many more steps it takes.
"""

import os
import signal
import socket
import sys
import time
from pathlib import Path

import jax
from small_state import save

from pix2seq_d.training import interrupt
from pix2seq_d.training.store import CheckpointStore

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
jax.distributed.initialize(f"127.0.0.1:{port}", 1, 0)
with (
    interrupt.watch(several=True) as interruption,
    CheckpointStore(Path(sys.argv[1]), keep=2) as store,
):
    for _ in range(5):
        interruption.check()
    save(store, 500)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1)  # until JAX has seen it, with no check in between
    count = 0
    try:
        while count < 1000:
            interruption.check()
            count += 1
    except interrupt.StopRequest:
        pass
    print(f"{count} more steps, stopped by {interruption.name}")
