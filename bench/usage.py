"""CPU time and memory of a process and everything it started."""

import psutil


def cpu(pid: int) -> float:
    """Return the CPU seconds that a process, its children and its ended children have used."""
    return sum(_cpu(process) for process in _tree(pid))


def own_cpu(pid: int) -> float:
    """Return the CPU seconds that a process has used itself."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    # What ended children used has been added to their parent's account.
    return float(times.user + times.system + times.children_user + times.children_system)


def memory(pid: int) -> int:
    """Return the bytes that a process and its children have in memory, shared pages counted once."""
    return sum(_memory(process) for process in _tree(pid))


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:
        return 0


def _tree(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]
