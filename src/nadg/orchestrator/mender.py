"""Asks a model to mend code that raised."""

from __future__ import annotations

import json

from nadg.domain.checks.code import wrong_with
from nadg.domain.commands import MendCode
from nadg.domain.errors import AnswerUnfit
from nadg.domain.plan import Subtask
from nadg.models.call import ModelCall, Turn
from nadg.models.data_block import DATA_RULES, data_block
from nadg.models.json_answer import parse_json
from nadg.orchestrator.model_access import ModelAccess
from nadg.planning.llm.contract import CODE_CONTRACT

SHOWN_TRACEBACK = 8_000
MAX_OUTPUT_TOKENS = 16_384
_SCHEMA = {
    "type": "object",
    "properties": {"cause": {"type": "string"}, "code": {"type": "string"}},
    "required": ["cause", "code"],
    "additionalProperties": False,
}
_INSTRUCTIONS = f"""\
You mend Python code that raised an exception. Change as little as the mend needs; keep what the code gives and
writes, for others rely on it. Never hide the error by giving made-up results. Answer with JSON: `cause`, one
sentence on what was wrong, and `code`, the whole code as it shall run.

{CODE_CONTRACT}

{DATA_RULES}"""


async def mend_code(access: ModelAccess, subtask: Subtask, command: MendCode) -> str:
    """The code to run instead; it compiles and differs.

    Raises AnswerUnfit where the model gives no such code, and the errors of `Door.ask`.
    """
    call = ModelCall(
        purpose="repair",
        instructions=_INSTRUCTIONS,
        turns=(Turn(role="user", text=_question(subtask, command)),),
        output_schema=_SCHEMA,
        max_output_tokens=MAX_OUTPUT_TOKENS,
        subtask_id=subtask.id,
    )
    reply = await access.door.ask(call, access.account)
    await access.door.reject(reply)  # whether a mend is of use shows only later: it is not given again unseen
    try:
        code = parse_json(reply.text)["code"]
    except (ValueError, TypeError, KeyError):
        raise AnswerUnfit(f"{reply.model} gave no code") from None
    if not isinstance(code, str) or not code.strip():
        raise AnswerUnfit(f"{reply.model} gave no code")
    if code.strip() == command.code.strip():
        raise AnswerUnfit(f"{reply.model} gave the same code again")
    flaw = wrong_with(code)
    if flaw:
        raise AnswerUnfit(f"the code of {reply.model} cannot run: {flaw}")
    return code


def _question(subtask: Subtask, command: MendCode) -> str:
    given = {
        "title": subtask.name,
        "inputs": list(subtask.inputs),
        "needs": list(subtask.needs),
        "foreach": subtask.foreach.model_dump(mode="json", exclude_none=True) if subtask.foreach else None,
    }
    if subtask.foreach is not None and subtask.foreach.items is not None:
        given["foreach"] = {"items": f"a list of {len(subtask.foreach.items):,} items"}
    return "\n\n".join(
        (
            data_block("subtask", json.dumps(given, ensure_ascii=False)),
            data_block("code", command.code),
            data_block("exception", command.reason),
            data_block("traceback", command.detail[-SHOWN_TRACEBACK:]),
            "Give the mended code.",
        )
    )
