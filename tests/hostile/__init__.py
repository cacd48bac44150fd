"""Submissions that attack the judge, each with how it must end: one set, for one worker, all at a time.

``forging`` wants another verdict, ``reaching`` wants out, ``exhausting`` takes all there is and ``preparing``
attacks before anything runs.
"""

from __future__ import annotations

from hostile.exhausting import EXHAUSTING
from hostile.forging import FORGING
from hostile.model import Attack
from hostile.preparing import PREPARING
from hostile.reaching import REACHING

ALL: tuple[Attack, ...] = (*FORGING, *REACHING, *EXHAUSTING, *PREPARING)
