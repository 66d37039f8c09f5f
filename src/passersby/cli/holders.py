"""`subject`: what a holder is shown, and the proofs that it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

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
    reserved,
    save,
    save_new,
    table,
)
from passersby.cli.subjects import Devices, Received, device_ids, instant_of, subject
from passersby.errors import UsageError
from passersby.model.period import instant_text

Proof = Annotated[Path, typer.Argument(help="A proof that a supplier's app, or the phone, has signed.")]
MaybeProof = Annotated[
    Path | None, typer.Option("--proof", help="A proof that a supplier's app, or the phone, has signed.")
]
Checked = Annotated[
    int, typer.Option(help="Number of an approved `subject check`, in place of a proof; with --devices.")
]


@subject.command("show")
def show(
    proof: MaybeProof = None,
    checked: Checked = 0,
    devices: Devices = None,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Show a holder from which suppliers and months there are pings; never where or when they were."""
    found = _seen("show", proof, checked, devices, key, folder)

    def human() -> None:
        rows = [(supplier, ", ".join(months)) for supplier, months in found["pings"].items()]
        out.print(table(("pings from", "months"), rows) if rows else "There are no pings of this device.")
        if found["derived"]:
            out.print(f"Derived rows of: {', '.join(found['derived'])}")
        _print_not_listed(found)

    emit(found, as_json=as_json, human=human)


@subject.command("recipients")
def recipients(
    proof: MaybeProof = None,
    checked: Checked = 0,
    devices: Devices = None,
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Show a holder who received something: courts, and licensees who were given numbers about crowds."""
    found = _seen("recipients", proof, checked, devices, key, folder)

    def human() -> None:
        for each in found["courts"]:
            out.print(
                f"Order {each['order']} of {escape(each['court'])}, carried out on {each['day']}: pings"
            )
        for each in found["licensees"]:
            out.print(f"{escape(each['holder'])}: {each['what']}; weeks {', '.join(each['periods'])}")
        _print_not_listed(found)

    emit(found, as_json=as_json, human=human)


@subject.command("check")
def check(
    how: Annotated[str, typer.Option(help="How you checked who holds the device; a second person reads it.")],
    devices: Devices = None,
    received: Received = "",
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Say that you checked who holds a device; once a second person approves it, they can be shown theirs."""
    from passersby.deployment import holders

    ids = device_ids(devices)
    with opened(folder) as d:
        made = holders.propose_check(
            d, ids, how, received=instant_of(received, d.config.offset), actor=d.actor(key), now=now()
        )

    def human() -> None:
        out.print(f"Proposed as {made.id}; it opens nothing until a second person has approved it.")
        step = from_here(f"passersby proposal approve {made.id} --key OTHER", folder)
        err.print(f"[dim]next:[/]  {step}", soft_wrap=True)

    emit({"proposal": made.id}, as_json=as_json, human=human)


@subject.command("enrol-app")
def enrol_app(
    supplier: Annotated[str, typer.Argument(help="Whose app it is.")],
    public_key: Annotated[str, typer.Option(help="64 hexadecimal digits (Ed25519).")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Propose the key with which a supplier's app signs proofs; a second person approves it."""
    from passersby.deployment import holders

    with opened(folder) as d:
        made = holders.propose_app(d, supplier, public_key, actor=d.actor(key), now=now())
    text = f"Proposed as {made.id}; in force once a second person approves it."
    emit({"proposal": made.id}, as_json=as_json, human=lambda: out.print(text))


@subject.command("enrol")
def enrol(
    proof: Annotated[Path, typer.Argument(help="List of ids and public keys that the app's key signed.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Enrol the keys of devices, made on them when their holders consented; one is never replaced."""
    from passersby.deployment import holders

    with opened(folder) as d:
        made = holders.enrol(d, read_bytes(proof), actor=d.actor(key), now=now())
    emit({"enrolled": made}, as_json=as_json, human=lambda: out.print(f"{made:,} key(s) are new."))


@subject.command("notices")
def notices(proof: Proof, key: Key = None, folder: Folder = Path(), as_json: AsJson = False) -> None:
    """Hand over the notices that wait for a device, for the supplier's app to show on it."""
    from passersby.deployment import holders

    with opened(folder) as d:
        offset, found = (
            d.config.offset,
            holders.notices(d, read_bytes(proof), actor=d.actor(key), now=now()),
        )

    def human() -> None:
        for each in found:
            out.print(f"{_NOTICES[each['what']]} ({each['about']}, {instant_text(each['since'], offset)})")
        if not found:
            out.print("No notice waits.")

    emit(found, as_json=as_json, human=human)


_NOTICES = {
    "copy": "Somebody with this phone asked for a copy of its positions; if it was not you, stop it: request",
    "disclosure": "A court ordered that positions of this phone be handed over: order",
}


@subject.command("copy")
def copy(
    proof: Proof,
    out_file: Annotated[Path, typer.Option("--out", help="A new file for the sealed pings.")],
    key: Key = None,
    folder: Folder = Path(),
    as_json: AsJson = False,
) -> None:
    """Take a request for a copy of pings: the first, the second after 72 hours, or one that stops it."""
    from passersby.deployment import holders

    with reserved(out_file), opened(folder) as d:
        offset, document = d.config.offset, read_bytes(proof)
        done = holders.copy(d, document, actor=d.actor(key), now=now())
        save(out_file, done.package)

    def human() -> None:
        if done.package:
            out.print(f"{out_file} opens with the key that the phone named, and no other.")
        elif done.not_before:
            out.print("Noted. A second request can follow once the app has shown its notice on the phone,")
            out.print(f"from {instant_text(done.not_before, offset)} on.")
        else:
            out.print("Stopped: what was asked for is not handed out.")

    value = {
        "request": done.request,
        "not_before": done.not_before or None,
        "file": str(out_file) if done.package else None,
    }
    emit(value, as_json=as_json, human=human)


@subject.command("prove")
def prove(
    what: Annotated[str, typer.Argument(help="show, recipients, copy, stop, notices or enrol.")],
    supplier: Annotated[str, typer.Option(help="Whose app it is.")],
    deployment: Annotated[
        str, typer.Option(help="Origin of the deployment's log: line 1 of its checkpoint.")
    ],
    signer: Annotated[str, typer.Option(help="app or device-key: whose key signs.")],
    key_file: Annotated[Path, typer.Option("--with", help="Private key file of the app or the device.")],
    out_file: Annotated[Path, typer.Option("--out", help="A new file for the proof.")],
    devices: Devices = None,
    recipient: Annotated[str, typer.Option(help="Of copy: age public key to seal the pings to.")] = "",
    as_json: AsJson = False,
) -> None:
    """Sign a proof as an app or a phone does. To enrol, lines of --devices are an id, a comma and a key."""
    from passersby.people import keys
    from passersby.subjects import proofs

    if what not in proofs.WHAT or signer not in {proofs.APP, proofs.DEVICE}:
        raise UsageError("There is no such proof.", f"{', '.join(proofs.WHAT)}; signed by app or device-key.")
    ids, _, public = zip(*(line.partition(",") for line in device_ids(devices)), strict=True)
    claim = proofs.Claim(
        what=what,
        devices=ids,
        deployment=deployment,
        supplier=supplier,
        signer=signer,
        keys=public if what == proofs.ENROL else (),
        recipient=recipient,
    )
    save_new(out_file, proofs.make(claim, keys.load(key_file), now=now()))
    emit({"proof": str(out_file)}, as_json=as_json, human=lambda: out.print(f"{out_file} is signed."))


def _seen(
    what: str, proof: Path | None, checked: int, devices: Path | None, key: Path | None, folder: Path
) -> dict[str, Any]:
    from passersby.deployment import holders

    if (proof is None) == (checked == 0):
        raise UsageError(
            "It is not said what proves the holder.",
            "Name a proof with --proof, or an approved check with --checked and the id with --devices.",
        )
    ids = device_ids(devices) if proof is None else []
    with opened(folder) as d:
        actor = d.actor(key)
        if proof is not None:
            return holders.see(d, read_bytes(proof), what, actor=actor, now=now()).to_json()
        return holders.see_checked(d, checked, ids, what, actor=actor, now=now()).to_json()


def _print_not_listed(found: dict[str, Any]) -> None:
    for line in found["not_listed"]:
        out.print(f"[dim]{line}[/]", soft_wrap=True)
