"""Trials that go on from each other."""

from suite.runs.log import RunLog, TrialEnd


def lineage(log: RunLog, end: TrialEnd) -> list[TrialEnd]:
    """``end`` and the trials that it goes on from, the first of them first."""
    by_number = {each.number: each for each in log.trials}
    stages = [end]
    while (parent := stages[0].proposal.parent) is not None:
        stages.insert(0, by_number[parent])
    return stages
