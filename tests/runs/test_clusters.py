"""Ray and SLURM make the same boards as this machine alone does, and lose nothing with a node."""

import threading
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from suite.replay.board import ReplayBoard, ReplaySettings
from suite.replay.servers import make_replay_here
from suite.runs.agenda import read_agenda
from suite.runs.board import Board, Settings, find_logs
from suite.runs.jobs import KILLED, Advance, Job, Result, Silent, run_jobs
from suite.runs.log import read_log
from suite.runs.on_ray import METER, RayRuns
from suite.runs.on_slurm import SlurmRuns
from suite.runs.plan import RunPlan
from suite.runs.processes import make_here
from tests.conftest import SCRIPTED, VALLEY, budget, script
from tests.replay.conftest import noisy as noisy  # the recorded task

SMALL = ReplaySettings(budget=8.0, search_watts=0.0)
STRATEGIES = ["random", "tpe", "hyperband", "sobol"]
SEEDS = range(50)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def logs_of(board: Path) -> dict[str, bytes]:
    return {str(path.relative_to(board)): path.read_bytes() for path in find_logs([board])}


def say_where(job: Job) -> Sequence[Advance | Result]:
    """A run that does nothing for a moment but say when and on which node."""
    import ray

    began = time.time()
    time.sleep(2.0)
    return [Result(job, 0, f"{ray.get_runtime_context().get_node_id()} {began} {time.time()}")]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray of two nodes on this machine, each with one meter."""
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # loopback
    ray_cluster = pytest.importorskip("ray.cluster_utils")
    made = ray_cluster.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "resources": {METER: 1}, "include_dashboard": False}
    )
    made.add_node(num_cpus=1, resources={METER: 1})
    yield made
    made.shutdown()


def test_one_metered_run_a_node_at_a_time(cluster: Any, tmp_path: Path) -> None:
    jobs = [Job(str(n), RunPlan(VALLEY, "random", n, budget()), tmp_path / str(n)) for n in range(8)]
    results = run_jobs(jobs, RayRuns(say_where, address=cluster.address), Silent())
    assert all(result.ok for result in results), [result.message for result in results]
    by_node: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        node, began, ended = result.message.split()
        by_node.setdefault(node, []).append((float(began), float(ended)))
    assert len(by_node) == 2
    for spans in by_node.values():
        spans.sort()
        assert all(one[1] <= other[0] for one, other in pairwise(spans))


def test_a_board_that_loses_a_node_in_the_middle_is_the_same(cluster: Any, noisy: str, tmp_path: Path) -> None:
    alone = ReplayBoard(tmp_path / "alone", SMALL)
    assert all(result.ok for result in alone.run([noisy], STRATEGIES, SEEDS, Silent()))
    board = ReplayBoard(tmp_path / "cluster", SMALL)
    entries = board.plan([noisy], STRATEGIES, SEEDS)
    (lost,) = cluster.worker_nodes

    def lose_it() -> None:
        while not (board.directory / "runs").exists() or len(find_logs([board.directory])) < 60:
            time.sleep(0.05)
        cluster.remove_node(lost, allow_graceful=False)

    losing = threading.Thread(target=lose_it)
    losing.start()
    results = board.make(entries, Silent(), lambda: RayRuns(make_replay_here, address=cluster.address))
    losing.join()
    assert [result.message for result in results if not result.ok] == []
    assert len(results) == 200
    assert logs_of(board.directory) == logs_of(alone.directory)
    attempts = [each for several in read_agenda(board.directory).attempts.values() for each in several]
    assert {each.engine for each in attempts} == {"ray"}
    said = [each.message for each in attempts if each.status == KILLED]
    assert len(said) == len(attempts) - 200 <= 2
    assert all("the node of this run was lost" in message for message in said)


def test_a_ray_that_is_started_here_listens_on_loopback_and_leaves_no_secret(tmp_path: Path) -> None:
    if find_spec("ray") is None:  # it must not be imported before it is told to keep to loopback
        pytest.skip("needs ray")
    listening: list[str] = []

    def start() -> RayRuns:
        started = RayRuns(make_here)
        for process in psutil.Process().children(recursive=True):
            listening.extend(each.laddr.ip for each in process.net_connections() if each.status == "LISTEN")
        return started

    board = Board(tmp_path, Settings(budget=5.0, meters=("cpu-time",), crosscheck=False, default_trainings=1))
    assert all(result.ok for result in board.calibrate([VALLEY], Silent(), start))
    assert listening
    assert set(listening) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
    (result,) = board.make(board.plan([VALLEY], ["random"], [0]), Silent(), start)
    assert result.ok, result.message
    log = read_log(result.job.directory)
    assert log.ended == "budget"
    assert log.total_microjoules == log.recorded_total_microjoules
    token = Path.home() / ".ray" / "auth_token"
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert not token.exists() or token.read_bytes().strip() not in written
    assert b"token" not in written.lower()


def test_a_failure_at_a_node_is_told(cluster: Any, tmp_path: Path) -> None:
    plan = RunPlan(SCRIPTED, script("Illegal"), 0, budget(trials=2), crosscheck=False)
    engine = RayRuns(make_here, address=cluster.address)
    (result,) = run_jobs([Job("illegal", plan, tmp_path / "run")], engine, Silent())
    assert result.status == 1
    assert "proposed an illegal configuration" in result.message


def test_slurm_through_submitit_makes_the_same_board(noisy: str, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    alone, board = ReplayBoard(tmp_path / "alone", SMALL), ReplayBoard(tmp_path / "cluster", SMALL)
    alone.run([noisy], STRATEGIES, [0], Silent())
    entries = board.plan([noisy], STRATEGIES, [0])
    options = {"cluster": "local"}
    results = board.make(
        entries, Silent(), lambda: SlurmRuns(make_replay_here, board.directory.resolve(), options=options)
    )
    assert [result.message for result in results if not result.ok] == []
    assert logs_of(board.directory) == logs_of(alone.directory)
    assert not (board.directory / ".submitit").exists()
    assert {each[0].engine for each in read_agenda(board.directory).attempts.values()} == {"slurm"}


def test_a_slurm_job_that_is_killed_is_another_attempt(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    plan = RunPlan(SCRIPTED, script("Works"), 0, budget(trials=30), crosscheck=False)
    engine = SlurmRuns(make_here, tmp_path, options={"cluster": "local"})
    log = tmp_path / "run" / "log.jsonl"

    def kill_it() -> None:
        while not log.exists() or log.read_bytes().count(b'{"record":"trial"') < 3:
            time.sleep(0.01)
        for process in psutil.Process().children(recursive=True):
            if "submitit" in " ".join(process.cmdline()):
                process.kill()

    killing = threading.Thread(target=kill_it)
    killing.start()
    (result,) = run_jobs([Job("works", plan, tmp_path / "run")], engine, Silent())
    killing.join()
    assert result.ok, result.message
    assert [trial.number for trial in read_log(tmp_path / "run").trials] == list(range(1, 31))
    assert log.read_bytes().count(b'{"record":"session"') == 2
