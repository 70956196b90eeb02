"""Values that live in one column as JSON: how they are written, and read back equal."""

from __future__ import annotations

import msgspec

from nadg.domain.assignment import Piece
from nadg.domain.blob import FileRef, Value
from nadg.domain.changes import Change
from nadg.domain.inputs import InputFile
from nadg.domain.model_calls import ModelUsage
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Plan
from nadg.domain.run import RunOptions

encode = msgspec.json.Encoder().encode

decode_change = msgspec.json.Decoder[Change](Change).decode
decode_piece = msgspec.json.Decoder[Piece](Piece).decode
decode_outcome = msgspec.json.Decoder(Outcome).decode
decode_value = msgspec.json.Decoder(Value).decode
decode_files = msgspec.json.Decoder(tuple[FileRef, ...]).decode
decode_inputs = msgspec.json.Decoder(tuple[InputFile, ...]).decode
decode_options = msgspec.json.Decoder(RunOptions).decode
decode_usage = msgspec.json.Decoder(ModelUsage).decode
decode_labels = msgspec.json.Decoder(tuple[str, ...]).decode


def encode_plan(plan: Plan) -> bytes:
    """Defaults included: a stored plan keeps its meaning when a later version has other defaults."""
    return plan.model_dump_json().encode()


def decode_plan(data: bytes) -> Plan:
    return Plan.model_validate_json(data)
