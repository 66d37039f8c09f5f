"""What an assessment of releases says in plain words: a verdict, warnings, a sentence for each attack."""

from __future__ import annotations

from passersby.risk.rates import Rate, percent
from passersby.risk.releases.assess import MISFIT, Assessment, Described, Played
from passersby.risk.releases.bounds import FEW, Bounds
from passersby.risk.releases.membership import HALF, MADE, NOTHING, OTHERS, Guessed
from passersby.risk.releases.overlaps import Averaged, Differences
from passersby.risk.releases.tracks import Recovered

_FAR = 2
"""Half widths of the interval from which on an attacker does more than guess: many games are played."""

_WHO = {
    HALF: "who knows half of the devices",
    OTHERS: "who knows everybody else",
    NOTHING: "who has the release alone",
    MADE: "who has the release alone",
}


def verdict(found: Assessment) -> str:
    """Return one paragraph that can be read on its own."""
    exact = sum(not release.noisy for release in found.releases)
    sentences = [_kind(exact, len(found.releases))]
    if worst := _worst(found):
        sentences.append(_guessed(worst))
    sentences += [bounds_text(b) for b in found.bounds if b.exact.rate or b.few.rate]
    if found.differences is not None and found.differences.few.rate:
        sentences.append(differences_text(found.differences))
    if found.averaged is not None:
        sentences.append(averaged_text(found.averaged))
    sentences.append(_judged(found))
    return " ".join(sentences)


def _kind(exact: int, number: int) -> str:
    if number == 1:
        return "The counts of this release are exact." if exact else "The counts of this release have noise."
    if exact in {0, number}:
        return f"The counts of these {number} releases {'are exact' if exact else 'have noise'}."
    has = "has" if exact == 1 else "have"
    return f"Of these {number} releases, {exact} {has} exact counts, the others noise."


def _worst(found: Assessment) -> Guessed | None:
    """Return the game to be told first: of real devices, if there is one; none of who knows everybody else.

    That attacker is right about all exact counts, which says nothing about a release.
    """
    real = [game for played in found.played for game in played.games if game.knows != OTHERS]
    made = [release.made_up for release in found.releases if release.made_up is not None]
    return max(real or made, key=lambda game: game.right, default=None)


def _guessed(game: Guessed) -> str:
    who = "a made-up device" if game.knows == MADE else "a device"
    right = guess_text(game)
    return f"Whether {who} was counted, an attacker {_WHO[game.knows]} tells right {right}; 50% is guessing."


def guess_text(game: Guessed) -> str:
    """Return how often an attacker is right."""
    return f"{game.right:.0%} of the time ({game.low:.0%} to {game.high:.0%})"


def calculated(found: Assessment) -> list[str]:
    """Return what bounds, differences and means of the releases tell, a sentence each."""
    said = [bounds_text(b) for b in found.bounds]
    if found.differences is not None:
        said.append(differences_text(found.differences))
    if found.averaged is not None:
        said.append(averaged_text(found.averaged))
    return said


def bounds_text(found: Bounds) -> str:
    """Return what totals tell of counts that are not told."""
    if not found.hidden:
        return "No count is left out where totals could tell it."
    if not found.exact.rate and not found.wholes:
        return (
            f"Counts do not add up ({found.agree or 0:.0%} of {found.checked:,} wholes do), as those of "
            "distinct devices: totals give nothing away by subtraction."
        )
    exact, few = _plain(found.exact), _plain(found.few)
    return (
        f"Of {found.hidden:,} counts that are not told, other releases and totals less their parts "
        f"determine {exact} exactly, and show {few} to be 1 to {FEW} people."
    )


def differences_text(found: Differences) -> str:
    """Return what two releases of the same give away."""
    return (
        f"Of {found.common:,} counts that two releases tell for the same place and time, {_plain(found.few)} "
        "differ by 1 to 19: the people who are in one of them and not in the other."
    )


def averaged_text(found: Averaged) -> str:
    """Return what averaging leaves."""
    return (
        f"{found.releases} releases tell the same counts with noise of about {found.noise:,.1f} "
        f"({found.low:,.1f} to {found.high:,.1f}) each; who averages them is left with {found.left:,.1f}: "
        f"{found.left / found.noise:.0%} of it."
    )


def recovered_text(found: Recovered) -> str:
    """Return how well tracks are recovered."""
    return (
        f"From exact counts of {found.devices} devices by these places and steps, tracks of one day are "
        f"recovered right in {found.accuracy:.0%} of the steps ({found.low:.0%} to {found.high:.0%}); tracks "
        f"put together at random would be in {found.chance:.0%}. Half of the recovered places are "
        + (f"within {found.metres / 1000:,.1f} km." if found.metres else "the true ones.")
    )


def _plain(rate: Rate) -> str:
    return f"under {percent(rate.high)}" if rate.rate is None else percent(rate.rate)


def made_up_text(release: Described) -> str:
    """Return how well it is guessed whether a made-up device was added."""
    return "the release tells no count above 0" if release.made_up is None else guess_text(release.made_up)


def _judged(found: Assessment) -> str:
    games = [game for played in found.played for game in played.games if game.knows != OTHERS]
    games += [release.made_up for release in found.releases if release.made_up is not None]
    guessed = any(game.right - 0.5 > _FAR * (game.right - game.low) for game in games)
    derived = any(b.exact.rate or b.few.rate for b in found.bounds)
    different = found.differences is not None and bool(found.differences.few.rate)
    alone = any(_small_shares(release) for release in found.releases)
    if guessed or derived or different:
        return "So these numbers give away something about single people."
    if alone:
        return "So groups of a few people stand in them as they are."
    if not found.played:
        return (
            "The attacks that need no raw files found nothing more; that is no proof that there is nothing."
        )
    return "The attacks found no more than guessing would; that is no proof, as a mechanism's guarantee is."


def _small_shares(release: Described) -> bool:
    return not release.noisy and any(band.rate for band in release.small.bands[1:3])


def warnings(found: Assessment) -> tuple[str, ...]:
    """Return what a reader must know before using the figures."""
    said = [_misfit(played) for played in found.played if not played.noisy and played.near > MISFIT]
    few = [release for release in found.releases if _small_shares(release)]
    if few:
        said.append(
            "Counts of fewer than five people stand in "
            + ", ".join(f"{r.name} ({_share_of_few(r)} of its counts)" for r in few)
            + ": at such a place and time somebody is nearly alone."
        )
    if any(b.hidden and b.checked == 0 and b.wholes for b in found.bounds):
        said.append(
            "No whole has all of its parts told, so that nothing shows whether these counts add up: the "
            "bounds assume it."
        )
    return tuple(said)


def _share_of_few(release: Described) -> str:
    return percent(sum(band.rate or 0.0 for band in release.small.bands[1:3]))


def _misfit(played: Played) -> str:
    return (
        f"The raw files' own counts differ from {played.name} by {played.near:.0%} of its counts: it may "
        "not be made of these files, and the games are then about a release like it."
    )
