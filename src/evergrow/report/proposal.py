"""Which of the probed rates is proposed, and why."""

from collections.abc import Sequence

from evergrow.report.rewarm import Probe

# Of the peak; Gupta et al. 2308.04014 have 1/2, 1 and 2, advice for finished models 0.3 to 1.
FACTORS = (1 / 8, 1 / 4, 1 / 2, 1.0, 2.0)


def rule_of(most_lost: float | None) -> str:
    """The rule of ``proposed`` in words."""
    among = "" if most_lost is None else f", among rates that lose at most {most_lost:g} on the old"
    return f"the largest gain on the new less the loss on the old{among}"


def proposed(probes: Sequence[Probe], most_lost: float | None = None) -> Probe:
    """The probe with the largest gain on the new less the loss on the old, bits per byte alike.

    Only those that lose at most ``most_lost`` are asked; when none does, the one that loses least
    is taken.
    """
    allowed = [p for p in probes if most_lost is None or p.lost <= most_lost]
    if not allowed:
        return min(probes, key=lambda probe: probe.lost)
    return max(allowed, key=lambda probe: probe.net)


def why(best: Probe, probes: Sequence[Probe], floor: Probe, most_lost: float | None) -> str:
    """Why a rate is proposed, beside no training and the floor, and what speaks against it."""
    parts = [
        f"{best.peak:.3g} has {rule_of(most_lost)}: {best.gained:+.3f} - {best.lost:.3f} = "
        f"{best.net:+.3f} bits per byte; no training has 0, the floor rate {floor.peak:.3g} "
        f"{floor.net:+.3f}."
    ]
    peaks = sorted(probe.peak for probe in probes)
    if most_lost is not None and best.lost > most_lost:
        parts.append(f"No rate loses as little as {most_lost:g}; mix in general text (--mix).")
    if best.net <= 0:
        parts.append("No rate gains more than it loses; mix in general text (--mix).")
    if best.peak in (peaks[0], peaks[-1]):
        side = "lowest" if best.peak == peaks[0] else "highest"
        parts.append(f"It is the {side} of the grid: --peak-lr {best.peak:.3g} looks further.")
    if floor.net > best.net:
        parts.append("Staying at the floor is better by this rule than every peak.")
    return " ".join(parts)
