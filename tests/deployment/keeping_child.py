"""Changes the keys of a deployment again and again, until it is killed: python keeping_child.py ROOT WHAT."""

from __future__ import annotations

import itertools
import secrets
import sys
import time
from pathlib import Path

from passersby.deployment import keeping
from passersby.deployment.opened import Deployment


def change(root: Path, what: str) -> None:
    with Deployment.open(root) as d:
        actor = d.actor(root / "people" / "custodian.key")
        print("ready", flush=True)
        for _ in itertools.count():
            now = int(time.time())
            if what == "rotate":
                keeping.rotate(d, actor, now=now)
            elif what == "log":
                keeping.replace_log_key(d, actor, now=now)
            else:
                folder = root.parent / secrets.token_hex(8)
                folder.mkdir()
                to = {"anna": folder / "a", "bruno": folder / "b"}
                keeping.share(d, to, actor, needed=2, now=now)


if __name__ == "__main__":
    change(Path(sys.argv[1]), sys.argv[2])
