"""Which occlusions are asked for, as the options spell them: ``mask,patches:0.1,patches:0.3``."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from interpfer.errors import InterpferError
from interpfer.occlusion import OCCLUDERS
from interpfer.occlusion.base import Occluder
from interpfer.occlusion.pictures import digest_of, load_pictures


@dataclass(frozen=True)
class Occlusion:
    """An occluder with what stands behind its colon.

    Attributes:
        kind: name of the occluder.
        argument: share or path, as text; "" for none.
    """

    kind: str
    argument: str = ""

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"{self.kind}:{self.argument}" if self.argument else self.kind

    @property
    def share(self) -> float | None:
        """Share of the face that is hidden; None for an occluder that takes none."""
        return None if self.occluder.share is None else float(self.argument)

    @cached_property
    def occluder(self) -> Occluder:
        """What draws it."""
        return OCCLUDERS.get(self.kind)

    @property
    def identity(self) -> str:
        """What decides its pixels beside the seed: the name, and of files the contents."""
        return f"{self.name}#{digest_of(self.argument)}" if self.occluder.takes_path else self.name


def parse_occlusions(selection: str | Sequence[str] | None) -> tuple[Occlusion, ...]:
    """Resolve a comma-separated text or a list of occlusions, each once.

    Raises:
        InterpferError: an occluder is unknown, or what stands behind its colon is not allowed.

    Examples:
        >>> [each.name for each in parse_occlusions("mask, patches, patches:0.10")]
        ['mask', 'patches:0.3', 'patches:0.1']
    """
    if selection is None:
        return ()
    words = selection.split(",") if isinstance(selection, str) else list(selection)
    found = [parse_occlusion(word) for word in words if word.strip()]
    if not found:
        raise InterpferError("occlude must name at least one occluder; see `interpfer ls occluders`.")
    return tuple(dict.fromkeys(found))


def parse_occlusion(text: str) -> Occlusion:
    """Return one occlusion.

    Raises:
        InterpferError: as ``parse_occlusions``.
    """
    kind, colon, argument = (part.strip() for part in text.partition(":"))
    kind = OCCLUDERS.resolve(kind) or kind
    facts = OCCLUDERS.get(kind)
    if facts.takes_path:
        load_pictures(argument)
        return Occlusion(kind, argument)
    if facts.share is None:
        if colon:
            raise InterpferError(f"occluder {kind} takes no share, got '{text.strip()}'; leave out :{argument}.")
        return Occlusion(kind)
    return Occlusion(kind, f"{_share(text, argument if colon else str(facts.share)):g}")


def _share(text: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise InterpferError(f"the share of an occluder must be from 0 to 1, got '{text.strip()}'.")
    return share
