"""The pieces of one deployment that the gate works with."""

from __future__ import annotations

from dataclasses import dataclass

from passersby.config import Config
from passersby.engines.base import Engine
from passersby.keys.ring import KeyRing
from passersby.lake.lake import Lake
from passersby.policy.decision import Decider
from passersby.privacy.ledger import Ledger
from passersby.privacy.noise import Sampler
from passersby.store.database import Database
from passersby.trustlog.publish import Publisher


@dataclass(frozen=True)
class Parts:
    """Settings, control database, lake, engine, keys, ledger, policy, noise and log of one deployment."""

    config: Config
    database: Database
    lake: Lake
    engine: Engine
    ring: KeyRing
    ledger: Ledger
    decider: Decider
    sampler: Sampler
    publisher: Publisher
