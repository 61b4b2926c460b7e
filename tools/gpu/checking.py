"""All checks, one after the other, in the time that there is."""

from __future__ import annotations

import argparse
from importlib import import_module

import torch

from tools.gpu.clock import Clock, TimeIsUpError
from tools.gpu.job import Job
from tools.gpu.report import Report

RESERVE = 2.0  # seconds for the page
NOT_YET = "20 arms against 20 cells: the cells of a sweep do not share their prompts yet"


def check(settings: argparse.Namespace) -> int:
    """Make the checks, show the page; 1 if something failed."""
    clock = Clock(settings.minutes - RESERVE / 60)
    name = settings.device or ("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    report = Report(settings.out, device)
    job = Job(device=device, quick=settings.quick, report=report, clock=clock)
    waiting = list(settings.only)
    try:
        with clock.running():
            while waiting:
                module = import_module(f"tools.gpu.{waiting[0]}")
                with job.step(waiting[0]):
                    module.check(job)
                waiting.pop(0)
    except TimeIsUpError:
        for unfinished in waiting:
            report.leave_out(unfinished, "the time was over before it was through")
    report.leave_out("sweep", NOT_YET)
    print(report.page())  # noqa: T201 - to be pasted
    return 1 if report.failures else 0
