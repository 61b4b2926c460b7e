"""A real Slurm of two nodes with two stand-in GPUs each, on this machine, from Debian packages.

Every process of it carries the path of its configuration, so nothing is left running afterwards.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
NODES = ("n0", "n1")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
KillWait=5
SlurmdTimeout=10
MinJobAge=3600
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
NodeName=DEFAULT CPUs=16 RealMemory=64000 Gres=gpu:2
NodeName=n0 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]}
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]}
PartitionName=main Nodes=n0,n1 Default=YES PriorityTier=1 GraceTime=60
PartitionName=urgent Nodes=n0,n1 PriorityTier=10 PreemptMode=OFF
"""


def missing() -> str | None:
    """Why there can be no Slurm here; installs it first where that is possible. None: there is."""
    if os.geteuid() != 0:
        return "a Slurm of one's own needs root"
    if shutil.which("slurmctld"):
        return None
    if not shutil.which("apt-get"):
        return "there is no slurmctld, and no apt-get to install it"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update"], **quiet, env=environment)
    install = ["apt-get", "install", "-y", "--no-install-recommends", *PACKAGES]
    subprocess.run(install, **quiet, env=environment)
    return None if shutil.which("slurmctld") else f"apt-get could not install {PACKAGES}"


@dataclass(kw_only=True)
class Slurm:
    """The cluster whose files lie in a folder; `start` and `stop` belong together."""

    folder: Path
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    munged: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """What commands need to talk to it."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("SLURM")}
        return kept | {"SLURM_CONF": str(self.folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}

    def start(self) -> None:
        """Come up, in less than a second."""
        for name in ("state", *(f"spool.{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        text = CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0], folder=self.folder, ports=_free_ports(3)
        )
        (self.folder / "slurm.conf").write_text(text)
        gpus = [f"NodeName=n0,n1 Name=gpu File={device}\n" for device in ("/dev/zero", "/dev/full")]
        (self.folder / "gres.conf").write_text("".join(gpus))
        self._authenticate()
        self._daemon("slurmctld", "slurmctld", "-D")
        for node in NODES:
            self.start_node(node)
        wait_until(lambda: self.call("sinfo", "-h", "-t", "idle", "-o", "%D") == "2", 30)

    def _authenticate(self) -> None:
        if subprocess.run(["munge", "-n"], capture_output=True).returncode == 0:
            return
        subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "/run/munge"], check=True)
        subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
        self.munged = True

    def start_node(self, node: str) -> None:
        """Switch a node on (again)."""
        self._daemon(node, "slurmd", "-D", "-N", node, marks={"SLURMD_NODENAME": node})

    def _daemon(self, name: str, *command: str, marks: dict[str, str] | None = None) -> None:
        with (self.folder / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                command, env=self.environment | (marks or {}), stdout=output, stderr=output
            )

    def kill_node(self, node: str) -> None:
        """A power cut: all its processes are gone at once."""
        for pid in self.processes(SLURMD_NODENAME=node):
            _kill(pid)
        self.daemons[node].wait()

    def call(self, *command: str) -> str:
        """Run a command; returns what it printed. Raises with that when it fails."""
        done = subprocess.run(
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def jobs(self) -> list[dict[str, str]]:
        """All jobs ever, array tasks one by one, as `scontrol` describes them."""
        lines = self.call("scontrol", "--oneliner", "show", "job").splitlines()
        fields = [[word.partition("=") for word in line.split()] for line in lines]
        return [{key: value for key, _, value in job} for job in fields if len(job) > 3]

    def job(self, name: str) -> dict[str, str]:
        """One of them, by its name."""
        return {named(job): job for job in self.jobs()}[name]

    def hasten(self) -> None:
        """Start requeued jobs now; Slurm makes them wait for two minutes."""
        for job in self.jobs():
            waits = job["JobState"] == "PENDING" and job["Reason"] == "BeginTime"
            if waits and not list(self.processes(SLURM_JOB_ID=job["JobId"])):
                self.call("scontrol", "update", f"jobid={named(job)}", "starttime=now")

    def processes(self, **variables: str) -> Iterator[int]:
        """Those of this cluster, commands that talk to it left out, with such an environment."""
        wanted = {"SLURM_CONF": str(self.folder / "slurm.conf"), **variables}
        wanted = {f"{name}={value}".encode() for name, value in wanted.items()}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                environment = (path / "environ").read_bytes().split(b"\0")
            except OSError:  # it has just ended
                continue
            if wanted <= set(environment):
                yield int(path.name)

    def stop(self) -> None:
        """Leave nothing behind."""
        for pid in list(self.processes()):
            _kill(pid)
        for daemon in self.daemons.values():
            daemon.wait()
        if self.munged:
            _kill(int(Path("/run/munge/munged.pid").read_text()), signal.SIGTERM)


def named(job: dict[str, str]) -> str:
    """`123`, or `123_4` for a task of an array, one of which has the number of the whole."""
    return f"{job['ArrayJobId']}_{job['ArrayTaskId']}" if "ArrayJobId" in job else job["JobId"]


def wait_until(
    true: Callable[[], object], seconds: float, meanwhile: Callable[[], None] | None = None
) -> None:
    """Look twice a second. Raises `TimeoutError` when it has not become true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"{true} has not become true in {seconds} s")
        if meanwhile:
            meanwhile()
        time.sleep(0.5)


def _kill(pid: int, how: signal.Signals = signal.SIGKILL) -> None:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
