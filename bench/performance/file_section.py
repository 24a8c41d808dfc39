# SPDX-License-Identifier: GPL-3.0-or-later
"""The section on files of the page: its text is made of the results, what it judges too."""

from __future__ import annotations

from common.tables import number, spread, table

# Every stage of a run, and what no program gets below there.
STAGE_FLOORS = {
    "decode": "decode_all", "estimate": "read_memory", "write": "write", "report": "read_memory",
}  # fmt: skip
# All floors; {} files are decoded at once.
FLOORS = {
    "decode": "decoding by PyAV, one thread",
    "decode_all": "decoding by PyAV, {} files at once, one thread each",
    "write": "writing the raw bytes, with fsync",
    "read_disk": "reading them back from the disk",
    "read_memory": "reading them back from the system's memory",
    "copy": "memcpy of a frame",
    "apply": "`apply_motion` in memory, one thread (no floor, but a part of writing)",
}
_TITLE = "Files in, files out"
_QUIET_CORES = 0.1  # that others may take


def files(section: dict, results: dict) -> tuple[str, str]:
    """Title and text."""
    if "failed" in section:
        return _TITLE, f"Not measured: {section['failed']}."
    done = [row for row in section["runs"] if "failed" not in row]
    parts = [_what(section, results), _stages(section)]
    if done:
        parts += [_bottleneck(section, done[-1]), _per_frame(section, done), _memory(section, done)]
    parts += [_floors(section), _others(section, done)]
    return _TITLE, "\n\n".join(parts)


def _what(section: dict, results: dict) -> str:
    height, width = results["extent"]
    cores = section["cores"]
    return (
        f"`stillscope.correct` takes a recording in AVI files (FFV1, grey; {height}x{width} uint8, "
        f"{section['file_frames']} frames and {number(section['file_bytes'] / 1e6)} MB a file) to "
        f"a corrected zarr and its report, with `memory=\"{section['memory_mb']}MB\"` and its "
        f"other defaults, each time in a fresh process: on all {cores} cores, held on none (no "
        "`taskset`). The files were not in the system's memory when it began. Beyond "
        f"{results['movie']['frames']} frames the recording runs back and forth over the same "
        "ones. The shifts of every run were compared with the known motion, and frames of the "
        "movie that was written with those of the recording moved by these shifts, which must be "
        "the same bits."
    )


def _stages(section: dict) -> str:
    body = []
    for row in section["runs"]:
        if "failed" in row:
            body.append([str(row["frames"]), f"failed: {row['failed']}", *[""] * 6])
            continue
        runs = row["seconds"]["runs"]
        body.append([
            str(row["frames"]), f"{spread(row['seconds'])}, {runs} run{'s' if runs > 1 else ''}",
            *(number(row["stages"][stage]["median"]) for stage in STAGE_FLOORS),
            number(row["error_px"]["rms"]), number(row["movie_bytes"] / 1e6),
        ])  # fmt: skip
    head = ["frames", "in all [s]", *(f"{stage} [s]" for stage in STAGE_FLOORS),
            "RMS error [px]", "zarr [MB]"]  # fmt: skip
    return table(head, body)


def _bottleneck(section: dict, row: dict) -> str:
    """Which stage takes longest, and whether that is computing."""
    floors, times, used = section["floors"], row["stages_ms"], row["processor_ms"]
    longest = max(times, key=lambda stage: times[stage]["median"])
    total = sum(times[stage]["median"] for stage in times)
    estimating, decoding = used["estimate"]["median"], used["decode"]["median"]
    moving = floors["apply"]["median"]
    computing = estimating + moving
    share = times[longest]["median"] / total
    return (
        f"**The bottleneck is the stage {longest}**: {number(times[longest]['median'])} of "
        f"{number(total)} ms a frame, {share:.0%}, at {row['frames']} frames. Computing is "
        f"{'not' if computing < decoding else 'more than decoding'}: decoding takes "
        f"{number(decoding)} ms of processor time a frame, where estimating (reading included) and "
        f"moving take {number(estimating)} and {number(moving)} ms, "
        f"{number(computing / decoding)} times as much."
    )


def _per_frame(section: dict, done: list[dict]) -> str:
    floors, last = section["floors"], done[-1]
    body = []
    for stage, floor in STAGE_FLOORS.items():
        least = floors[floor]["median"]
        body.append([
            stage, *(spread(row["stages_ms"][stage]) for row in done),
            number(last["processor_ms"][stage]["median"]), _floor_name(section, floor),
            number(least), number(last["stages_ms"][stage]["median"] / least),
        ])  # fmt: skip
    head = ["ms a frame", *(f"{row['frames']} frames" for row in done), "processor time",
            "floor", "ms a frame", "times the floor"]  # fmt: skip
    text = (
        f"The estimate reads the decoded frames {last['readings']} times. *Processor time* is that "
        f"of all cores, and *times the floor* the ratio, both at {last['frames']} frames; decoding "
        "writes the frames to the disk, too, and writing compresses and moves them."
    )
    below = [
        stage for stage, floor in STAGE_FLOORS.items()
        if last["stages_ms"][stage]["median"] < floors[floor]["median"]
    ]  # fmt: skip
    if below:
        text += (
            f" Where a time is below its floor ({', '.join(below)}), the floor is no bound: what "
            "other work leaves of the machine changes from one measurement to the next. Processor "
            "time says more there."
        )
    return f"{text}\n\n{table(head, body)}"


def _floor_name(section: dict, floor: str) -> str:
    return FLOORS[floor].format(section["floors"]["at_once"])


def _memory(section: dict, done: list[dict]) -> str:
    budget, first, last = section["memory_mb"], done[0], done[-1]
    highest = max(row["peak_mb"] for row in done)
    body = [
        [str(row["frames"]), number(row["peak_mb"]), f"{row['peak_mb'] / budget:.0%}",
         number(row["decoder_peak_mb"]), str(row["decoders"])]
        for row in done
    ]  # fmt: skip
    text = (
        f"**Memory** is {'within' if highest <= budget else 'above'} the budget of {budget} MB "
        "(10^6 bytes; the high-water mark of the process, libraries and all)"
    )
    if last["frames"] > first["frames"]:
        grown = last["peak_mb"] - first["peak_mb"]
        each = grown * 1e3 / (last["frames"] - first["frames"])
        frame_kb = section["floors"]["frame_bytes"] / 1e3
        text += (
            f": from {first['frames']} to {last['frames']} frames its peak changes by "
            f"{number(grown)} MB, which is {number(each)} kB a frame, where a frame has "
            f"{number(frame_kb)} kB"
        )
    text += ". Decoders are processes of their own, beside it."
    head = ["frames", "peak [MB]", "of the budget", "a decoder's peak [MB]", "decoders at once"]
    return f"{text}\n\n{table(head, body)}"


def _floors(section: dict) -> str:
    floors = section["floors"]
    body = []
    for floor in FLOORS:
        rate = floors["frame_bytes"] / floors[floor]["median"] / 1e3
        body.append([_floor_name(section, floor), spread(floors[floor]), number(rate)])
    head = ["each alone, in the same run", "ms a frame", "MB/s of pixels"]
    return table(head, body)


def _others(section: dict, done: list[dict]) -> str:
    """Whether the machine was quiet."""
    took = {row["frames"]: row["others_cores"] for row in done}
    text = f"The load average of the minute before was {section['load']:.2f}."
    if took and max(took.values()) > _QUIET_CORES:
        each = ", ".join(f"{cores:.2f} at {frames} frames" for frames, cores in took.items())
        text += (
            " **The machine was not quiet:** of its "
            f"{section['cores']} cores other work (or the host) took {each}, on average over the "
            "runs, which makes these times longer."
        )
    elif took:
        text += (
            f" While the runs were made, other work took {max(took.values()):.2f} of "
            f"{section['cores']} cores at most."
        )
    return text
