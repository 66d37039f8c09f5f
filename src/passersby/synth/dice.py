"""Counted random numbers: a draw depends on the seed, the device and the day, never on who asks first.

The generator is SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators",
OOPSLA 2014). One stream for a (seed, device, day) makes a world independent of chunks and threads.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from passersby.compiled import compiled

State = npt.NDArray[np.uint64]
"""One stream: an array of one word, changed by each draw."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_S11, _S27, _S30, _S31 = (np.uint64(n) for n in (11, 27, 30, 31))
_ULP = 2.0**-53


@compiled
def mix(word: np.uint64) -> np.uint64:
    """Return the SplitMix64 finaliser of a word."""
    word = (word ^ (word >> _S30)) * _FIRST
    word = (word ^ (word >> _S27)) * _SECOND
    return word ^ (word >> _S31)


@compiled
def begin(state: State, seed: np.uint64, device: int, day: int) -> None:
    """Put `state` at the start of the stream of a device and a day."""
    state[0] = mix(mix(seed + np.uint64(device) * _GOLDEN) ^ (np.uint64(day) * _SECOND))


@compiled
def word(state: State) -> np.uint64:
    """Draw 64 random bits."""
    state[0] += _GOLDEN
    return mix(state[0])


@compiled
def draw(state: State) -> float:
    """Draw a uniform number in [0, 1)."""
    return float((word(state) >> _S11) * _ULP)


@compiled
def normal(state: State, mean: float, deviation: float) -> float:
    """Draw a normal number (Box and Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log(1.0 - draw(state)))
    return float(mean + deviation * radius * np.cos(2.0 * np.pi * draw(state)))


@compiled
def pick(cumulated: npt.NDArray[np.float32], chance: float) -> int:
    """Return the position that a uniform number falls on in cumulated chances, which end with 1."""
    low, high = 0, len(cumulated) - 1
    while low < high:
        middle = (low + high) // 2
        if cumulated[middle] > chance:
            high = middle
        else:
            low = middle + 1
    return low


@compiled
def words(seed: np.uint64, purpose: int, first: int, count: int) -> State:
    """Return one word for each of the devices `first`, `first + 1`, ...: a trait that never changes."""
    out = np.empty(count, dtype=np.uint64)
    salt = mix(seed ^ (np.uint64(purpose) * _FIRST))
    for i in range(count):
        out[i] = mix(salt + np.uint64(first + i) * _GOLDEN)
    return out


def traits(seed: np.uint64, purpose: int, first: int, count: int) -> npt.NDArray[np.float64]:
    """Return one uniform number in [0, 1) for each of the devices `first`, `first + 1`, ..."""
    return np.asarray((words(seed, purpose, first, count) >> _S11) * _ULP, dtype=np.float64)


def root(seed: int) -> np.uint64:
    """Return the 64-bit root of a seed of any size, which is not negative."""
    return np.uint64(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
