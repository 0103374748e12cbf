"""The decide room: journal what comes in with what follows from it, then emit the notices, then acknowledge.

A partition's incidents are a fold of its journal. The last entry's notices may not have been emitted when an earlier
worker died between journal and acknowledgement, so that they are emitted again when the partition is taken over,
unless the entry's input is known to be acknowledged.
"""

import asyncio
import heapq
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import faust
from aiokafka import TopicPartition

from agents.app import die, make_app, ready
from agents.deadletters import DeadLetters
from agents.emit import Emitter
from agents.follow import Follower
from agents.lanes import serve
from pipeline import clock, failpoints
from pipeline.broker import connect
from pipeline.decide.incident import Decided, decide_on, evolve, notices_of
from pipeline.decide.state import IncidentState
from pipeline.policy import Policy, compile_policy
from pipeline.settings import Settings
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import Message
from schemas.codec import Event, Record, Undecodable
from schemas.command import Wake
from schemas.ids import derived
from schemas.journal import JournaledInput, JournalEntry, VirtualClock, WakeScheduled
from schemas.policy import PolicyPublished

ROOM = "decide"
TICK_S = 0.1

log = logging.getLogger("tocsin.decide")
"""placeholder"""
