"""Lets everything be said that the software can say about a deployment: by commands, callables and errors."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyrage
import pytest
import typer.main
from sqlalchemy import select

import worlds
from passersby.cli.app import app
from passersby.demo import story
from passersby.deployment import places, plans, views
from passersby.deployment.opened import Deployment
from passersby.gate import worth
from passersby.gate.request import Request
from passersby.ingest.pipeline import Ingest
from passersby.lake.write import LEASE_S, Work
from passersby.model.cost import MicroRho
from passersby.model.period import Period
from passersby.model.place import Area
from passersby.store.tables import LogSalt
from proof import saying_duties, saying_reports
from proof.planting import HEADER, ID, Said, rows, spoiled

RECIPIENT = str(pyrage.x25519.Identity.generate().to_public())

BUNDLE = f"""
epsilon = 0.4
period = "{story.PERIOD}"
licence = "{worlds.LICENCE}"
purpose = "{worlds.PURPOSE}"
case = "{worlds.CASE}"
resolution = 4
every = "week"

[[question]]
measure = "presence"

[[question]]
measure = "visitors"
"""


def run_commands(world: worlds.World, folder: Path, said: Said) -> None:
    """Run every command that looks at the deployment or at a file, as people and as programs read it."""
    at, custodian = ("-d", world.root), ("--key", world.key("custodian"))
    may = ("--licence", worlds.LICENCE, "--purpose", worlds.PURPOSE, "--case", worlds.CASE)
    asked = (*at, *may, "--key", world.key("anna"))
    presence = ("ask", "presence", "--period", story.PERIOD, "--every", "day", "--epsilon", "0.5", *asked)
    saying_duties.review_all(world)
    said.command("ask", "presence", "--period", story.PERIOD, "--dry-run", *asked)
    said.command("plan", "presence", "--period", story.PERIOD, "--target-error", "5%", *asked)
    for name in ("rows.csv", "rows.parquet", "rows.geojson", "rows.sdmx.csv"):
        said.command(*presence, "--out", folder / name)
    (folder / "bundle.toml").write_text(BUNDLE)
    (folder / "clinic.csv").write_text("lat,lon,category\n46.2,7.36,clinic\n")
    others = "".join(rows(f"00000000-0000-4000-8000-{number:012}") for number in range(1, 41))
    (folder / "many.csv").write_text(HEADER + rows(ID) + others)
    said.command("bundle", folder / "bundle.toml", "--key", world.key("anna"), *at)
    said.command("ask", "visitors", "--period", story.PERIOD, "--every", "week", "--epsilon", "0.5", *asked)
    for day in ("2026-05-12", "2026-05-13"):
        said.command("ask", "presence", "--period", day, "--every", "day", "--epsilon", "0.2", *asked)
    with world.open() as d:
        release, (before, after) = d.releases()[0].id, (entry.id for entry in d.releases()[-2:])
    for command in (
        ("release", "compare", before, after, "--out", folder / "change.csv", *at),
        ("release", "show", release, "--png", folder / "map.png", *at),
        ("release", "show", release, "--label", *at),
        ("release", "quality", release, *at),
        ("release", "list", *at),
        ("release", "verify", release, *at),
        ("budget", *at),
        ("budget", "--licence", worlds.LICENCE, *at),
        ("measures",),
        ("status", *at),
        ("doctor", "--deep", *at),
        ("expire", *at),
        ("person", "list", *at),
        ("supplier", "list", *at),
        ("licence", "list", *at),
        ("sensitive", "list", *at),
        ("log", "verify", *at),
        ("log", "show", "--last", "1000", *at),
        ("log", "prove", "3", *at),
        ("log", "cosign", *at),
        ("log", "export", folder / "copy", *at),
        ("log", "disclose", "1", "--field", "name", "--to", "x", "--out", folder / "d.json", *at, *custodian),
        ("witness", "init", folder / "witness", "--name", "example.org/w"),
        ("witness", "show", folder / "witness"),
        ("keys", "status", *at),
        ("keys", "share", "--to", f"anna={folder / 'a'}", "--to", f"paula={folder / 'b'}", *at, *custodian),
        ("keys", "test-shares", "--share", folder / "a", "--share", folder / "b", *at, *custodian),
        ("keys", "move", "--to", "vault", *at, *custodian),
        ("keys", "rotate", *at, *custodian),
        ("keys", "rotate-log", *at, *custodian),
        ("keys", "recover", "--share", folder / "a", "--share", folder / "b", *at, *custodian),
        ("keys", "lost", ID, *at, *custodian),
        ("supplier", "sniff", folder / "simple.csv"),
        ("supplier", "sniff", folder / "sovrn.tsv"),
        ("ingest", folder / "simple.csv", "--supplier", "simple", *at, *custodian),
        ("sensitive", "load", folder / "clinic.csv", *at, *custodian),
        ("sensitive", "categories"),
        ("sensitive", "review", "health", *at, *custodian),
        ("sensitive", "test", *at),
        *saying_duties.commands(world, folder),
        ("person", "add", "eve", "--role", "analyst", *at, *custodian),
        ("supplier", "suspend", "simple", "--reason", "a test", *at, *custodian),
        ("licence", "revoke", worlds.LICENCE, *at, *custodian),
        ("init", folder / "second"),
        ("synth", folder / "made", "--devices", "20", "--days", "1"),
        *saying_reports.commands(folder, world),
        ("risk", folder / "simple.csv"),
        ("risk", folder / "many.csv", "--html", folder / "risk.html", "--sensitive", folder / "clinic.csv"),
        ("risk", folder / "rows.csv", "--raw", folder / "many.csv", "--html", folder / "released.html"),
    ):
        said.command(*command)
        if command[0] not in {"init", "synth", "person", "audit"} and "ingest" not in command:
            said.command(*command, "--json")


def run_order_commands(world: worlds.World, folder: Path, said: Said) -> None:
    """Take an order for the phone through its whole life, and others to their refusals.

    Drafts, signed orders and what `--document` writes are the court's own papers: they name the phone.
    """
    at, people = ("-d", world.root), {name: world.key(name) for name in ("lea", "paula", "rolf", "custodian")}
    for name, role in (("lea", "legal"), ("rolf", "releaser")):
        key_out = ("--key-out", people[name], "--key", people["custodian"])
        said.command("person", "add", name, "--role", role, *key_out, *at)
    court, papers = folder / "court", folder / "papers"
    papers.mkdir()
    said.command("court", "demo", court)
    for number, record in enumerate(("court.toml", "clock.toml"), 1):
        said.command("court", "add", "--file", court / record, "--key", people["custodian"], *at)
        said.command("proposal", "show", str(number), *at)
        said.command("proposal", "approve", str(number), "--key", people["lea"], *at)
    said.command("proposal", "list", *at)
    said.command("proposal", "refuse", "1", "--reason", "late", "--key", people["lea"], *at)
    said.command("court", "list", *at)
    (papers / "ids.txt").write_text(f"{ID}\n")
    draft = ("order", "new", "--court", "test-court", "--judge", "J", "--basis", "B", "--addressee", "test")
    more = ("--recipient", RECIPIENT, "--valid-until", "2099-12-31", "--devices", papers / "ids.txt")
    for number, window in enumerate((f"{story.DATES[0]}..{story.DATES[1]}", story.DATES[0], "2099-01-01"), 1):
        for form in ("pdf", "json"):
            path = papers / f"{number}.{form}"
            said.command(*draft, *more, "--reference", path.name, "--window", window, "--out", path)
            said.command("order", "sign", path, "--court", court, "--out", papers / f"signed-{path.name}")
    for path in sorted(papers.glob("*.*")):
        said.command("order", "submit", path, "--key", people["lea"], *at)
        said.command("order", "submit", path, "--json", "--key", people["lea"], *at)
    for command in (("list",), ("show", "1"), ("show", "99"), ("show", ID)):
        said.command("order", *command, *at)
        said.command("order", *command, "--json", *at)
    written = papers / "to-read"
    code = Said()  # what an approver reads names the phone, as the court's document does
    code.command("order", "show", "1", "--document", written, "--key", people["lea"], *at)
    said.codes += code.codes
    release = ("order", "disclose", "1", "--out", folder / "order-1.age", "--key", people["rolf"], *at)
    said.command(*release)
    for name in ("lea", "lea", "paula"):
        said.command("order", "approve", "1", "--key", people[name], *at)
    said.command("order", "refuse", "2", "--reason", "no", "--key", people["paula"], *at)
    said.command(*release)
    said.command(*release)
    said.command("order", "package", "1", "--out", folder / "again.age", "--key", people["rolf"], *at)
    said.command("court", "retire", "test-court", "--reason", "over", "--key", people["lea"], *at)
    said.command("status", *at)
    said.command("log", "show", "--last", "1000", *at)
    shutil.rmtree(papers)


def run_wrong_commands(world: worlds.World, folder: Path, said: Said) -> None:
    """Give every command that reads a file the pings, and every word of a question the id."""
    at, custodian = ("-d", world.root), ("--key", world.key("custodian"))
    for path in spoiled(folder / "spoiled"):
        for command in (
            ("ingest", path, "--supplier", "simple"),
            ("ingest", path, "--supplier", "sovrn"),
            ("ingest", path, "--supplier", "sovrn", "--consent", path),
            ("sensitive", "load", path),
            ("supplier", "add", "--file", path),
            ("supplier", "assess", "simple", "--file", path),
            ("impact", "draft", "--file", path),
            ("impact", "approve", "--file", path),
            ("programme", "review", "--file", path, "--note", "x"),
            ("licence", "grant", "--file", path),
            ("bundle", path),
            ("keys", "test-shares", "--share", path),
            ("keys", "recover", "--share", path),
            ("order", "submit", path),
            ("court", "add", "--file", path),
        ):
            said.command(*command, *at, *custodian)
        said.command("supplier", "sniff", path)
        said.command("risk", path)
        said.command("log", "verify", path, "--vkey", "log+00000000+AA==")
    (folder / "area.geojson").write_text(rows(ID))
    good = {
        "measure": "presence",
        "--period": story.PERIOD,
        "--licence": worlds.LICENCE,
        "--purpose": worlds.PURPOSE,
        "--case": worlds.CASE,
        "--filter": "weekday=mon",
    }
    words_of_people = ("measure", "--period", "--licence", "--filter", "--area", "--every")
    for name, value in [
        *((name, ID) for name in words_of_people),
        *(("measure", word) for word in ("devices", "tracks", "who")),
        ("--resolution", "9"),
        ("--epsilon", "7"),
        ("--period", "2090-W01"),
        ("--area", folder / "area.geojson"),
        ("--area", "1,2,3"),
        ("--key", world.key("paula")),
    ]:
        words = {"--key": world.key("anna"), **good, name: value}
        measure = words.pop("measure")
        said.command("ask", measure, *(part for pair in words.items() for part in pair), *at)
    said.command("release", "show", ID, *at)
    said.command("release", "verify", ID, *at)
    said.command("ingest", folder / "simple.csv", "--supplier", "nobody", *at, *custodian)
    said.command("status", "-d", folder)
    saying_duties.run_frozen_commands(world, folder, said)


def call_everything(world: worlds.World, folder: Path, said: Said) -> None:
    """Call every public callable of `Deployment`, `views` and `plans`, and provoke errors of each kind."""
    with world.open() as d:
        for name, get in deployment_calls(folder).items():
            said.add(f"Deployment.{name}", get(d))
        for name, get in view_calls(folder).items():
            said.add(f"views.{name}", get(d))
        for name, get in plan_calls().items():
            said.add(f"plans.{name}", get(d))
        for path in spoiled(folder / "spoiled"):
            take = partial(d.ingest, [path], now=worlds.now())
            said.error(f"simple {path.name}", partial(take, "simple"))
            said.error(f"sovrn {path.name}", partial(take, "sovrn"))
            said.error(f"consent {path.name}", partial(take, "sovrn", consent=path))
            who = d.actor(world.key("custodian"))
            load = partial(places.load, d, path, name="x", actor=who, now=worlds.now())
            said.error(f"places {path.name}", load)
        said.error("release", lambda: d.release(ID))
        said.error("ask", lambda: d.ask(request(measure=ID), worlds.analyst(d), now=worlds.now()))
        said.error("area", lambda: Area.from_names([ID]))
    (folder / "broken").mkdir()
    (folder / "broken" / "passersby.toml").write_text(rows(ID))
    said.error("settings", lambda: Deployment.open(folder / "broken", now=worlds.now()))


def kill_an_ingest(world: worlds.World, folder: Path, said: Said, look: Callable[[], None]) -> None:
    """End an ingest as a killed process would, at its commit, `look`, and let the next opening repair it."""
    later = worlds.now() + LEASE_S + 1

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    (folder / "more.csv").write_text(HEADER + rows(ID, hours=150))
    with pytest.MonkeyPatch.context() as patch, world.open() as d:
        patch.setattr(Ingest, "_commit", die)
        patch.setattr(Work, "abandon", lambda _self: None)
        with pytest.raises(SystemExit):
            d.ingest([folder / "more.csv"], "simple", now=worlds.now())
    look()
    with Deployment.open(world.root, now=later) as d:
        said.add("repaired", d.repaired)


def deployment_calls(folder: Path) -> dict[str, Callable[[Deployment], object]]:
    """Return a use of every public attribute of the class `Deployment`."""
    now = worlds.now()
    return {
        "open": lambda d: Deployment.open(d.layout.root, now=now).close(),
        "close": lambda _: None,  # the caller's block does it
        "vkey": lambda d: d.vkey,
        "engine": lambda d: d.engine,
        "gate": lambda d: d.gate,
        "orders": lambda d: d.orders,
        "writing": _written,
        "announce": lambda d: d.announce(now=now),
        "sweep": lambda d: d.sweep(now),
        "log_keys": lambda d: d.log_keys(),
        "tidy_keys": lambda d: d.tidy_keys(now),
        "leave_log_key": lambda d: d.leave_log_key(),
        "actor": worlds.analyst,
        "sensitive": lambda d: [d.sensitive, d.sensitive.current()],
        "finish_purges": lambda d: d.finish_purges(now),
        "ingest": lambda d: d.ingest([folder / "simple.csv"], "simple", now=now).to_json(),
        "ask": lambda d: d.ask(request(), worlds.analyst(d), now=now),
        "plan": lambda d: d.plan(request(every="hour"), worlds.analyst(d), now=now),
        "plan_forms": lambda d: d.plan_forms([request(every="hour")], worlds.analyst(d), now=now),
        "plan_together": lambda d: d.plan_together(
            [request(), request(every="week")], worlds.analyst(d), now=now
        ),
        "ask_together": lambda d: d.ask_together(
            [request(), request(every="week")], worlds.analyst(d), now=now
        ),
        "releases": lambda d: d.releases(),
        "release": lambda d: [d.release(entry.id) for entry in d.releases()],
        "balances": lambda d: d.balances(),
        "licence_balances": lambda d: d.licence_balances(worlds.LICENCE),
        "verify_log": lambda d: d.verify_log(),
        "export_log": lambda d: d.export_log(folder / "exported"),
        "disclose": _disclosed,
        "ask_witnesses": lambda d: d.ask_witnesses(now=now, force=True),
        "verify_ledger": lambda d: d.verify_ledger(),
        "doctor": lambda d: d.doctor(deep=True),
        "expire": lambda d: d.expire(now=now),
    }


def view_calls(folder: Path) -> dict[str, Callable[[Deployment], object]]:
    """Return a use of every public function of `views`."""
    now = worlds.now()

    def first(d: Deployment) -> Any:
        return d.release(d.releases()[0].id)

    def asked(d: Deployment) -> Any:
        return d.ask(request(), worlds.analyst(d), now=now)

    return {
        "answer": lambda d: views.answer(d, asked(d), folder / "rows.csv"),
        "shown": lambda d: views.shown(first(d)),
        "cost": lambda d: views.cost(d, MicroRho(first(d).micro_rho), [story.PERIOD]),
        "releases": views.releases,
        "release": lambda d: views.release(d, first(d)),
        "label_text": lambda d: views.label_text(first(d)),
        "about": lambda d: views.about(d, first(d)),
        "unit": lambda d: views.unit(first(d)),
        "write": lambda d: views.write(d, first(d), folder / "rows.sdmx.csv"),
        "structure": lambda d: views.structure(first(d)),
        "picture": lambda d: views.picture(d, first(d)),
        "caption": lambda d: views.caption(first(d), d.config.offset),
        "budget": lambda d: [views.budget(d, ""), views.budget(d, worlds.LICENCE)],
        "verify_release": lambda d: views.verify_release(d, first(d).id),
        "log_entries": lambda d: views.log_entries(d, last=1000),
        "span_text": lambda d: views.span_text(Period.parse(story.PERIOD).span(7200), d.config.offset),
    }


def plan_calls() -> dict[str, Callable[[Deployment], object]]:
    """Return a use of every public function of `plans`."""
    now = worlds.now()

    def form(resolution: int, every: str, epsilon: float) -> Request:
        return request(resolution=resolution, every=every, epsilon=epsilon)

    wish = plans.Wish("presence", None, None, worth.parse_target("5%"), form)
    return {
        "plan": lambda d: plans.plan(d, d.plan(request(), worlds.analyst(d), now=now)),
        "declared_devices": lambda d: plans.declared_devices(
            d, d.plan(request(), worlds.analyst(d), now=now)
        ),
        "level_name": lambda _: [plans.level_name(level) for level in (-2, -1, 7)],
        "choose": lambda d: plans.choose(d, wish, worlds.analyst(d), now=now),
    }


def command_names() -> set[tuple[str, ...]]:
    """Return the words of every command."""
    found: set[tuple[str, ...]] = set()
    for name, command in typer.main.get_group(app).commands.items():
        below = getattr(command, "commands", None)
        found |= {(name, other) for other in below} if below else {(name,)}
    return found


def request(**changed: Any) -> Request:
    """Return a question that the licence allows, with some of it changed."""
    return story.question(**{"every": "day", "epsilon": 0.25, **changed})


def _disclosed(d: Deployment) -> object:
    """Show every hidden field of every entry of the log."""
    with d.database.read() as session:
        hidden = session.execute(select(LogSalt.index, LogSalt.name)).all()
    who = d.actor(d.layout.people / "custodian.key")
    return [
        d.disclose(index, [name for i, name in hidden if i == index], to="x", actor=who, now=worlds.now())
        for index in sorted({index for index, _ in hidden})
    ]


def _written(d: Deployment) -> object:
    with d.writing() as session:
        return session.info
