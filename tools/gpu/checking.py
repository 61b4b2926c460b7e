"""All checks, one after the other, in the time that there is."""

from __future__ import annotations

import argparse
from importlib import import_module

import torch

from tools.gpu.clock import Clock, TimeIsUpError
from tools.gpu.job import Job
from tools.gpu.report import Report

RESERVE = 2.0  # seconds for the page
STOPPED = "stopped before it was through"
NOT_YET = "20 arms against 20 cells: the cells of a sweep do not share their prompts yet"


def check(settings: argparse.Namespace) -> int:
    """Make the checks, show the page.

    Returns 0, 1 if something failed, 3 if there was no time for a single check, 130 after Ctrl-C.
    """
    clock = Clock(settings.minutes - RESERVE / 60)
    name = settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    report = Report(settings.out, device)
    job = Job(device=device, quick=settings.quick, report=report, clock=clock)
    waiting, ended = list(settings.only), ""
    try:
        with clock.running():
            while waiting:
                module = import_module(f"tools.gpu.{waiting[0]}")
                with job.step(waiting[0]):
                    module.check(job)
                waiting.pop(0)
    except TimeIsUpError:
        ended = "the time was over before it was through"
    except KeyboardInterrupt:
        ended = STOPPED
    for unfinished in waiting:
        report.leave_out(unfinished, ended)
    report.leave_out("sweep", NOT_YET)
    print(report.page())  # noqa: T201 - to be pasted
    if ended == STOPPED:
        return 130
    if report.failures:
        return 1
    return 3 if waiting == list(settings.only) else 0
