"""What a confined process answers with: the other end of ``suite.submit.line``."""

import os
from typing import IO, Any

import orjson


def own_output() -> IO[bytes]:
    """This process's output, for answers alone: whatever else is printed goes to where errors go."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answers


def say(answers: IO[bytes], **message: Any) -> None:
    answers.write(orjson.dumps(message) + b"\n")
    answers.flush()
