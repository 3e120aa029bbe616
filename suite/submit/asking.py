"""Asks a strategy again, in a process of its own that holds no task, no data and no test value.

Run as ``python -P -m suite.submit.asking STRATEGY PROBLEM``, where PROBLEM is a file of JSON: what the task is, without
its constants, and the plan of the run. Each line of its input is a question (``{}``) or the end of a trial (number,
status, validation value, joules): all that a run tells a strategy comes from these. It answers each with the proposal,
or with nothing, and the CPU time that it has used.
"""

import sys
import time
from pathlib import Path
from typing import Any

import orjson

from suite.catalog import load_strategy
from suite.runs.log import proposal_to_record
from suite.runs.memory import Trials
from suite.runs.plan import RunPlan
from suite.runs.program import as_asked
from suite.runs.session import build
from suite.runs.trial import Outcome
from suite.search.strategy import Signal
from suite.submit.answers import own_output, say
from suite.task import TaskSpec


def main(reference: str, file: str) -> int:
    answers = own_output()  # a strategy may print what it likes
    problem = orjson.loads(Path(file).read_bytes())
    plan, task = RunPlan.from_json(problem["plan"]), TaskSpec.from_record(problem["task"])
    began = time.process_time_ns()
    factory = load_strategy(reference)
    spec, info = as_asked(task, factory.info)
    trials = Trials(spec, info, plan.budget.v0, plan.budget.default_microjoules / 1e6)
    strategy = build(factory, plan, task, trials)
    say(answers, info={"name": info.name, "version": info.version}, cpu_ns=time.process_time_ns() - began)
    for line in sys.stdin.buffer:
        told: dict[str, Any] = orjson.loads(line)
        answer = None
        if told:
            outcome = Outcome(told["status"], told["validation"])
            strategy.tell(trials.end(told["trial"], outcome, told["joules"]))
        else:
            asked = strategy.ask()
            answer = proposal_to_record(asked if isinstance(asked, Signal) else trials.accept(asked))
        say(answers, answer=answer, cpu_ns=time.process_time_ns() - began)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
