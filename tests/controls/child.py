"""A process that runs tests in forks of itself, in each of which one module may be another than on the disk.

It loads libraries once, and nothing of the package, which a fork does when the change is in place. Each line
that it reads is a job in JSON, the arguments of `run`; each line that it writes is a status of pytest.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numba
import pytest

_OF_OTHER_RUNS = ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_CURRENT_TEST")
_LEFT_OUT = ("randomly", "cacheprovider", "xdist")
_NOT_BEFORE = {"passersby", "pyspark"}
_IMPORT = re.compile(r"^(?:import|from) (\w[\w.]*)", flags=re.MULTILINE)
_AT_MOST_S = 300
_UNKEPT: Any = numba.njit(nogil=True)


class Changed(MetaPathFinder):
    """Finds one module, and gives it another text.

    Args:
        name: the module.
        path: its file.
        text: what is run in its place.
    """

    def __init__(self, name: str, path: Path, text: str) -> None:
        self._name, self._path, self._text = name, path, text

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        return spec_from_file_location(fullname, self._path, loader=_Loader(fullname, self._path, self._text))


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: Path, text: str) -> None:
        super().__init__(name, str(path))
        self._text = text

    def get_code(self, fullname: str) -> CodeType:  # neither read from nor kept on the disk
        return compile(self._text, self.get_filename(fullname), "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        """Run the text; its loops are compiled anew, and not taken from what is kept on the disk."""
        if "passersby.compiled" not in self._text:
            super().exec_module(module)
            return
        from passersby import compiled  # noqa: PLC0415 (see the module)

        kept = compiled.compiled
        compiled.compiled = _UNKEPT
        try:
            super().exec_module(module)
        finally:
            compiled.compiled = kept


def run(tests: Sequence[str], root: str, scratch: str, change: tuple[str, str, str] | None) -> int:
    """Run tests and return the status of pytest.

    Args:
        tests: node ids.
        root: folder that they are relative to.
        scratch: folder for their files; what pytest prints is beside it, its name ends in .txt.
        change: module, its file and its text; None for the package as it is.
    """
    with Path(scratch).with_suffix(".txt").open("wb") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    if change is not None:
        sys.meta_path.insert(0, Changed(change[0], Path(change[1]), change[2]))
    options = ["-q", "-x", f"--basetemp={scratch}", f"--rootdir={root}", f"--timeout={_AT_MOST_S}"]
    options += [part for plugin in _LEFT_OUT for part in ("-p", f"no:{plugin}")]
    return int(pytest.main([*options, *tests]))


def _libraries(sources: Path) -> list[str]:
    """Return the modules of others that the package imports."""
    texts = (path.read_text(encoding="utf-8") for path in sources.rglob("*.py"))
    found = {name for text in texts for name in _IMPORT.findall(text)}
    return sorted(name for name in found if name.partition(".")[0] not in _NOT_BEFORE)


def serve() -> None:
    """Run the jobs that come, one after the other, each in a fork."""
    for name in _OF_OTHER_RUNS:
        os.environ.pop(name, None)
    for name in _libraries(Path(sys.argv[1])):
        with suppress(ImportError):  # not every installation has all of them
            importlib.import_module(name)
    for line in sys.stdin:
        job = json.loads(line)
        assert "passersby" not in sys.modules
        if (process := os.fork()) == 0:
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            status = int(pytest.ExitCode.INTERNAL_ERROR)
            try:
                status = run(**job)
            except BaseException:  # noqa: BLE001 (a fork never goes on here)
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        _, ended = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(ended), flush=True)


if __name__ == "__main__":
    serve()
