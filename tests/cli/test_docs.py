"""The documentation is true: its commands exist, and the pages that one follows run from top to bottom."""

from __future__ import annotations

import glob
import io
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout
from pathlib import Path

import osmium
import pytest
import typer

import forms
import loopback
import worlds
from passersby.cli import main
from passersby.cli.reference import _flat
from passersby.deployment import consents
from passersby.gate import gate
from passersby.people import proposals
from passersby.privacy.label_fields import AUDITED, FIELDS
from passersby.witness import folder as witness_folder

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
COMMANDS = dict(_flat(typer.main.get_command(main.app), ()))
GROUPS = {name.split()[0] for name in COMMANDS}
REFUSED = (
    "passersby ask presence --period 2026-W20 --licence city --purpose dpv:ImproveTransportMobility --case c1"
)
"""The tutorial's first question: there is no licence yet."""


def _lines(page: Path) -> Iterator[str]:
    """Yield the commands of a page's blocks, continued lines joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        match = re.fullmatch(r"(?:    )?(?:\$ )?((?:passersby|export|pip) .*)", line)
        if match and (line.startswith(("    ", "$ "))):
            yield " ".join(match[1].split())


def _words(line: str) -> list[str]:
    return shlex.split(line, comments=True)[1:]


def _command(words: list[str]) -> str:
    name = " ".join(words[:2])
    return name if name in COMMANDS else words[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_blocks_are_right(page: Path) -> None:
    """Name, options and number of arguments, without running them."""
    for line in _lines(page):
        if not line.startswith("passersby "):
            continue
        words = _words(line.split(" > ")[0])
        name = _command(words)
        assert name in COMMANDS, f"{page.name}: {line}"
        try:
            COMMANDS[name].make_context("passersby", words[len(name.split()) :])
        except typer.TyperException as error:
            pytest.fail(f"{page.name}: {line}: {error.format_message()}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_sentences_exist(page: Path) -> None:
    for text in re.findall(r"`passersby ([^`]+)`", page.read_text(encoding="utf-8")):
        words = text.split()
        if not words[0].startswith("-"):
            assert _command(words) in COMMANDS or (words[0] in GROUPS and len(words) == 1), f"{page}: {text}"


def test_commands_that_the_code_names_exist() -> None:
    """Next steps of errors above all."""
    for source in sorted((ROOT / "src").rglob("*.py")):
        for text in re.findall(r"`passersby ([^`\n]+)`", source.read_text(encoding="utf-8")):
            words = text.split()
            known = _command(words) in COMMANDS or (words[0] in GROUPS and len(words) == 1)
            assert known or words[0].startswith(("-", "X")), f"{source.name}: {text}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_field_of_the_label_is_described() -> None:
    text = (DOCS / "reference" / "label.md").read_text(encoding="utf-8")
    nested = [name for value in FIELDS.values() if isinstance(value, dict) for name in value]
    missing = [name for name in [*FIELDS, *nested, *AUDITED["audit"]] if f"`{name}`" not in text]
    assert missing == []


class Reader:
    """Somebody who follows a page: types its commands in one folder and fills in the forms in between."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def follow(self, page: Path, change: Callable[[str], str] = lambda line: line) -> int:
        """Run the page's commands; return how many there were."""
        number = 0
        for line in map(change, _lines(page)):
            if line.startswith("export "):
                for name, _, value in (word.partition("=") for word in _words(line)):
                    os.environ[name] = value
            elif line.startswith("passersby "):
                number += 1
                self._run(line)
        return number

    def _run(self, line: str) -> None:
        words = [found for word in _words(line) for found in (sorted(glob.glob(word)) or [word])]  # noqa: PTH207 (as a shell does)
        refused = line == REFUSED
        with redirect_stdout(io.StringIO()):
            code = main.call(words)
        assert code == (5 if refused else 0), line
        if words[0] == "init":
            forms.fill_all(Path(words[1]))


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which the tutorial was followed."""
    folder = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(gate, "TICK_S", 0.001)
        for name in ("PASSERSBY_DEPLOYMENT", "PASSERSBY_KEY"):
            patch.setenv(name, "")  # so that what the page exports is undone
        number = Reader(folder).follow(DOCS / "tutorial" / "first-deployment.md")
        assert number > 15
        yield folder


@pytest.fixture
def folder(followed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the current folder."""
    shutil.copytree(followed, tmp_path / "x")
    monkeypatch.chdir(tmp_path / "x")
    monkeypatch.setattr(gate, "TICK_S", 0.001)
    return tmp_path / "x"


@pytest.mark.slow
def test_the_tutorial_runs(followed: Path) -> None:
    assert (followed / "rows.csv").read_text().startswith('"cell","start"')
    assert main.call(["doctor", "--deep", "-d", str(followed / "d")]) == 0


@pytest.mark.slow
def test_ask_a_question_runs(folder: Path) -> None:
    page = DOCS / "how-to" / "ask-a-question.md"

    def real(line: str) -> str:
        line = line.replace("MEASURE", "presence").replace(" L ", " city ").replace(" C ", " c1 ")
        line = line.replace("ask flows", "ask visitors")  # the tutorial's licence names few measures
        return line.replace(" P ", f" {forms.PURPOSE} ")

    corners = [[6, 46], [8, 46], [8, 47], [6, 47], [6, 46]]
    shape = {"type": "Polygon", "coordinates": [corners]}
    west = {"type": "Feature", "properties": {"name": "west"}, "geometry": shape}
    districts = {"type": "FeatureCollection", "features": [west]}
    (folder / "districts.geojson").write_text(json.dumps(districts))
    assert Reader(folder).follow(page, real) == 2
    assert (folder / "rows.parquet").exists()
    assert json.loads((folder / "rows.geojson").read_text())["features"]
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(block, page.name, "exec"), {})  # noqa: S102 (the page's own example)
    new, rows = printed.getvalue().split()
    assert new == "False"  # the tutorial asked it already
    assert int(rows) == len((folder / "rows.csv").read_text().splitlines()) - 1


@pytest.mark.slow
def test_the_pages_about_the_log_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A witness is run, the log is published with its signature, and an outsider checks it."""
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", str(folder / "d"))
    monkeypatch.setenv("PASSERSBY_KEY", str(folder / "d" / "people" / "custodian.key"))
    vkey = (folder / "d" / "log.vkey").read_text().strip()
    with ExitStack() as stack:
        witness = _follow_run_a_witness(folder, vkey, stack)
        _follow_publish_the_log(folder, witness)
    shutil.copytree(folder / "d" / "public-log", folder / "log")
    shutil.copy(folder / "log" / "checkpoint", folder / "checkpoint-of-last-month")
    shutil.copy(folder / "d" / "shown.json", folder)
    shutil.move(folder / "d", folder / "nothing of the deployment is needed")
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", "")
    with loopback.static(folder / "log") as url:

        def real(line: str) -> str:
            signer = shlex.quote(witness.partition(" ")[0])
            line = line.replace("--witness W2 ", "").replace("--witness W1", f"--witness {signer}")
            line = line.replace("https://log.example.org/", url)
            # last, since a key is random and may hold any of the words above
            return re.sub(r'--vkey ("[^"]*"|KEY)', lambda _: f"--vkey {shlex.quote(vkey)}", line)

        assert Reader(folder).follow(DOCS / "how-to" / "verify-the-log.md", real) == 6


def _follow_run_a_witness(folder: Path, vkey: str, stack: ExitStack) -> str:
    """Follow the page; return the running witness as passersby.toml names it."""
    named: list[str] = []

    def real(line: str) -> str:
        if line.startswith("passersby witness serve"):  # it would run until it is interrupted
            settings = folder / "w" / "witness.toml"
            settings.write_text(settings.read_text().replace("logs = [", f'logs = [\n  "{vkey}",'))
            witness = witness_folder.load(folder / "w")
            named.append(f"{witness.vkey.encode()} {stack.enter_context(loopback.serving(witness))}")
            return ""
        return line

    assert Reader(folder).follow(DOCS / "how-to" / "run-a-witness.md", real) == 2
    return named[0]


def _follow_publish_the_log(folder: Path, witness: str) -> None:
    with (folder / "d" / "passersby.toml").open("a") as settings:
        settings.write(f'\nwitnesses = ["{witness}"]\nwitness_quorum = 1\n')
    with redirect_stdout(io.StringIO()) as printed:
        assert main.call(["log", "show", "--kind", "delivery.stored", "--last", "1", "--json"]) == 0
    stored = json.loads(printed.getvalue())[0]["index"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "d")
        page = DOCS / "how-to" / "publish-the-log.md"
        assert Reader(folder).follow(page, lambda line: line.replace(" 24 ", f" {stored} ")) == 3
        export = "passersby log export public-log"  # once more, now with the witness's signature
        Reader(folder)._run(export)


@pytest.mark.slow
def test_use_postgresql_runs(
    tmp_path: Path, new_postgresql: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def real(line: str) -> str:
        return re.sub(r"postgresql\+psycopg://\S+", new_postgresql(), line)

    assert Reader(tmp_path).follow(DOCS / "how-to" / "use-postgresql.md", real) == 1
    assert main.call(["status", "-d", "DIR"]) == 0
    assert not (tmp_path / "DIR" / "control.db").exists()


@pytest.mark.slow
def test_sensitive_places_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "how-to" / "sensitive-places.md"
    world = worlds.build(tmp_path / "world", devices=40, suppliers=("veraset",))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", str(world.root))
    monkeypatch.setenv("PASSERSBY_KEY", "me.pem")
    for file, person in (("me.pem", "custodian"), ("officer.pem", "paula")):
        shutil.copy(world.key(person), file)
    (shown,) = re.findall(
        r'    (\{"type": "FeatureCollection".*?\n    \]\})', page.read_text(), flags=re.DOTALL
    )
    Path("clinics.geojson").write_text(json.dumps(json.loads(shown)))
    tags = {"amenity": "hospital", "religion": "any"}
    with osmium.SimpleWriter("helsinki.osm.pbf") as out:
        out.add_node(osmium.osm.mutable.Node(id=1, location=(24.94, 60.17), tags=tags))

    def real(line: str) -> str:
        return line.replace("--name osm --category", "--name osm-medical --category")

    assert Reader(tmp_path).follow(page, real) == 7
    with world.open() as d:
        assert {found.name: found.version for found in d.sensitive.current()} == {"health": 2}
        with d.database.read() as session:
            waiting = [p.subject for p in proposals.list_all(session) if p.state == "open"]
    assert waiting == ["osm", "osm-medical"]


@pytest.mark.slow
def test_withdraw_a_delivery_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = worlds.build(tmp_path / "world", devices=40)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", str(world.root))
    for file, person in (("me.pem", "custodian"), ("officer.pem", "paula")):
        shutil.copy(world.key(person), file)
    assert Reader(tmp_path).follow(DOCS / "how-to" / "withdraw-a-delivery.md") == 7
    with world.open() as d, d.lake.snapshot(worlds.now()) as snapshot:
        assert {source for file in snapshot.files("pings") for source in file.sources} == {1}


@pytest.mark.slow
def test_load_consent_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = DOCS / "how-to" / "load-consent.md"
    world = worlds.build(tmp_path / "world", devices=40, suppliers=("sovrn",), ingest=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", str(world.root))
    shutil.copy(world.key("custodian"), "me.pem")
    shutil.copy(world.files.of("sovrn")[0], "pings.csv")
    lines = re.findall(r"^    (\{.*\})$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    Path("register.ndjson").write_text("".join(f"{line}\n" for line in lines))
    assert Reader(tmp_path).follow(page) == 3
    with world.open() as d:
        assert [(each.supplier, each.version) for each in consents.in_force(d)] == [("sovrn", 1)]


@pytest.mark.slow
def test_check_consent_samples_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = worlds.build(tmp_path / "world", devices=40, suppliers=("sovrn",))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSERSBY_DEPLOYMENT", str(world.root))
    shutil.copy(world.key("custodian"), "me.pem")
    page = DOCS / "how-to" / "check-consent-samples.md"
    assert Reader(tmp_path).follow(page, lambda line: line.replace("HASH", "ab" * 32)) == 2
