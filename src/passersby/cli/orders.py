"""`order`: court orders from their draft to their sealed result."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from passersby.cli.app import app
from passersby.cli.common import (
    AsJson,
    Folder,
    Key,
    emit,
    err,
    from_here,
    now,
    opened,
    out,
    read_bytes,
    save,
    save_new,
    table,
)
from passersby.model.period import instant_text

if TYPE_CHECKING:
    from passersby.disclosure.life import Standing

order = typer.Typer(help="Court orders: named devices, a past window, two approvals.", no_args_is_help=True)
app.add_typer(order, name="order", rich_help_panel="Court orders")

Number = Annotated[int, typer.Argument(help="The order's number, as `order list` shows it.")]
Package = Annotated[Path, typer.Option("--out", help="Where the sealed package goes, e.g. order-1.age.")]


@order.command("new")
def new_order(
    court: Annotated[str, typer.Option(help="The court's name in the registry.")],
    reference: Annotated[str, typer.Option(help="The court's case reference.")],
    window: Annotated[str, typer.Option(help="Days that ended: 2026-05-11..2026-05-13.")],
    judge: Annotated[str, typer.Option(help="Who approves it.")],
    basis: Annotated[str, typer.Option(help="The legal basis.")],
    recipient: Annotated[str, typer.Option(help="The age public key that the result is sealed to.")],
    valid_until: Annotated[str, typer.Option(help="Last day on which it may be carried out: 2026-12-31.")],
    out_file: Annotated[Path, typer.Option("--out", help="A new .pdf or .json file.")],
    devices: Annotated[
        Path | None, typer.Option(help="File of advertising ids, one a line; without it you are asked.")
    ] = None,
    area: Annotated[Path | None, typer.Option(help="GeoJSON polygon that pings must lie in.")] = None,
    delay_until: Annotated[str, typer.Option(help="No notice to the holders before this day.")] = "",
    jurisdiction: Annotated[str, typer.Option(help="Where the court sits.")] = "XX",
    office: Annotated[str, typer.Option(help="The judge's office.")] = "judge",
    addressee: Annotated[str, typer.Option(help="Public name of the deployment.")] = "passersby",
    utc_offset: Annotated[str, typer.Option(help="Offset of the days.")] = "+00:00",
    as_json: AsJson = False,
) -> None:
    """Draft an order: a PDF with the order's JSON attached, or the JSON alone. Needs no deployment."""
    from passersby.disclosure import drafts

    if devices is None:
        err.print("Advertising ids, one a line; an empty line ends the list.")
        names = list(iter(lambda: typer.prompt("id", default="", show_default=False, err=True), ""))
    else:
        names = read_bytes(devices).decode("utf-8", "replace").split()
    draft = drafts.draft(
        drafts.Wish(
            court=court,
            reference=reference,
            jurisdiction=jurisdiction,
            judge=judge,
            office=office,
            basis=basis,
            addressee=addressee,
            devices=names,
            window=window,
            area=None if area is None else read_bytes(area),
            recipient=recipient,
            valid_until=valid_until,
            delay_until=delay_until,
            utc_offset=utc_offset,
        ),
        as_pdf=out_file.suffix.lower() == ".pdf",
        now=now(),
    )
    save_new(out_file, draft.document)

    def human() -> None:
        out.print(f"{out_file} is drafted; it is no order until the court has signed it.")
        out.print(f"SHA-256 of its JSON: {draft.payload_sha256}", soft_wrap=True)

    found = {"file": str(out_file), "payload_sha256": draft.payload_sha256}
    emit(found, as_json=as_json, human=human)


@order.command("sign")
def sign_order(
    file: Annotated[Path, typer.Argument(help="A draft of `order new`.")],
    court: Annotated[Path, typer.Option(help="Folder of a test court of `passersby court demo`.")],
    out_file: Annotated[Path, typer.Option("--out", help="A new file for the signed order.")],
    as_json: AsJson = False,
) -> None:
    """Sign a draft as a test court does. Real courts sign with their own programs."""
    from passersby.disclosure import drafts, testcourt

    signed = drafts.signed(read_bytes(file), testcourt.load(court), now=now())
    save_new(out_file, signed)
    emit({"file": str(out_file)}, as_json=as_json, human=lambda: out.print(f"{out_file} is signed."))


@order.command("submit")
def submit_order(
    file: Annotated[Path, typer.Argument(help="The order as the court signed it: PDF or JSON.")],
    crl: Annotated[
        list[Path] | None, typer.Option(help="A newer list of revoked certificates (DER); repeatable.")
    ] = None,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Verify an order. Nothing is looked up: whether a device is known shows in the sealed result alone."""
    from passersby.disclosure import documents, life

    document, lists = read_bytes(file), [documents.revocation_list(read_bytes(path)) for path in crl or ()]
    with opened(folder) as d:
        number, verified = life.submit(d.orders, document, lists, actor=d.actor(key), now=now())

    def human() -> None:
        out.print(f"Order {number} of {verified.court.title} is verified; its scope is held from now on.")
        out.print("It takes an approval by a person with the role legal, and one with the role privacy.")
        err.print(f"[dim]next:[/]  {from_here(f'passersby order show {number}', folder)}", soft_wrap=True)

    found = {"order": number, "court": verified.court.id, "document_sha256": verified.sha256}
    emit(found, as_json=as_json, human=human)


@order.command("list")
def list_orders(folder: Folder = Path(), as_json: AsJson = False) -> None:
    """List the orders that were verified, oldest first, and what each waits for."""
    from passersby.disclosure import life

    with opened(folder) as d:
        found = life.list_all(d.orders)
    rows = [(each.number, each.court, each.reference, each.state, _waits(each)) for each in found]
    shown = table(("no.", "court", "reference", "state", "waits for"), rows)
    emit([_record(each) for each in found], as_json=as_json, human=lambda: out.print(shown))


@order.command("show")
def show_order(
    number: Number,
    document: Annotated[
        Path | None,
        typer.Option(help="Write the signed document to this new file, and show every field: logged."),
    ] = None,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Show how an order stands and what it asks for. Device ids are shown with --document alone."""
    from passersby.disclosure import life

    with opened(folder) as d:
        offset, (standing, asked) = d.config.offset, life.show(d.orders, number)
        fields: list[tuple[str, str]] = []
        if document is not None:
            data, fields = life.document(d.orders, number, actor=d.actor(key), now=now())
            save_new(document, data)
    window = [instant_text(instant, offset) for instant in (asked.window.start, asked.window.end)]
    scope = {
        "devices": len(asked.devices),
        "window": window,
        "area": asked.area is not None,
        "judge": ", ".join(asked.judge),
        "basis": asked.basis,
        "recipient": asked.recipient,
        "notice_delayed_until": asked.delay_until and instant_text(asked.delay_until, offset),
    }

    def human() -> None:
        out.print(f"[bold]Order {number}[/]  {standing.court}, {escape(asked.reference)}: {standing.state}")
        out.print(f"SHA-256 of the document: {standing.sha256}", soft_wrap=True)
        out.print(f"SHA-256 of its JSON:     {standing.payload_sha256}", soft_wrap=True)
        within = ", within an area" if asked.area is not None else ""
        out.print(f"{len(asked.devices)} device(s), {' to '.join(window)}{within}", soft_wrap=True)
        for label, value in fields:
            out.print(f"  [dim]{escape(label):24}[/]  {escape(value)}", soft_wrap=True)
        for each in standing.approvals:
            out.print(f"approved as {each.role} by {each.person}, {instant_text(each.created, offset)}")
        if _waits(standing):
            out.print(f"waits for: {_waits(standing)}")

    found = {**_record(standing), "scope": scope, "fields": [list(each) for each in fields]}
    emit(found, as_json=as_json, human=human)


@order.command("approve")
def approve_order(number: Number, key: Key = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Approve an order with your signature over its hash, in your role: legal or privacy."""
    from passersby.disclosure import life

    with opened(folder) as d:
        standing = life.approve(d.orders, number, actor=d.actor(key), now=now())
    waits = _waits(standing)
    emit(_record(standing), as_json=as_json, human=lambda: out.print(f"Approved; it waits for: {waits}."))


@order.command("refuse")
def refuse_order(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why; recorded, not public.")],
    code: Annotated[str, typer.Option(help="A code of docs/reference/refusals.md.")] = "ConflictOfLaw",
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Refuse an order for good; what was held for it is deleted."""
    from passersby.disclosure import life

    with opened(folder) as d:
        standing = life.refuse(d.orders, number, code=code, reason=reason, actor=d.actor(key), now=now())
    text = f"Order {number} is refused: {code}."
    emit({**_record(standing), "code": code}, as_json=as_json, human=lambda: out.print(text))


@order.command("disclose")
def disclose_order(
    number: Number, out_file: Package, key: Key = None, folder: Folder = Path(), as_json: AsJson = False
) -> None:
    """Carry an approved order out, once, and write its result sealed to the recipient's key."""
    from passersby.disclosure import release

    save_new(out_file, b"")
    try:
        with opened(folder) as d:
            sealed = release.disclose(d.orders, number, actor=d.actor(key), now=now())
    except BaseException:
        out_file.unlink(missing_ok=True)
        raise
    save(out_file, sealed.package)
    _packed(number, out_file, sealed.sha256, as_json=as_json)


@order.command("package")
def package_order(
    number: Number, out_file: Package, key: Key = None, folder: Folder = Path(), as_json: AsJson = False
) -> None:
    """Write the sealed result of an order again, for 30 days; nothing is looked up."""
    from passersby.disclosure import release

    with opened(folder) as d:
        sealed = release.again(d.orders, number, actor=d.actor(key), now=now())
    save_new(out_file, sealed.package)
    _packed(number, out_file, sealed.sha256, as_json=as_json)


def _packed(number: int, path: Path, sha256: str, *, as_json: bool) -> None:
    def human() -> None:
        out.print(f"Order {number} is carried out. {path} opens with the recipient's key alone:")
        plain = path.with_suffix(".tar")
        out.print(f"  age -d -i RECIPIENT-KEY -o {plain} {path} && tar xf {plain}", soft_wrap=True)
        out.print(f"SHA-256 {sha256}", soft_wrap=True)

    emit({"order": number, "file": str(path), "sha256": sha256}, as_json=as_json, human=human)


def _waits(standing: Standing) -> str:
    if standing.state == "verified":
        missing = {"legal", "privacy"} - {each.role for each in standing.approvals}
        return " and ".join(f"approval ({role})" for role in sorted(missing))
    return {"approved": "a releaser", "releasing": "the release to be run again"}.get(standing.state, "")


def _record(standing: Standing) -> dict[str, Any]:
    return {"waits_for": _waits(standing), **asdict(standing)}
