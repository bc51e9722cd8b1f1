"""Options of `interpfer serve`."""

from dataclasses import dataclass
from pathlib import Path

from interpfer.explain.options import ExplainOptions
from interpfer.options import option


@dataclass(frozen=True, kw_only=True)
class ServeOptions(ExplainOptions):
    """How pictures are explained until the page says otherwise, and where the page is; the rest is as for explain.

    Attributes:
        image: not used: pictures come from the page.
        model: not used: the models are arguments of their own.
        label: not used: chosen on the page.
        out: not used: the page shows the result.
        rationale: not used.
        host: address that the page is served at; the default is reachable from this computer alone.
        port: port of the page.
    """

    image: str | Path | None = option(None, "Not used", kind="path", flag="")
    model: str | Path | None = option(None, "Not used", kind="path", flag="")
    label: str | None = option(None, "Not used", flag="")
    out: str | Path | None = option(None, "Not used", kind="path", flag="")
    rationale: str | Path | None = option(None, "Not used", kind="path", flag="")
    host: str = option(
        "127.0.0.1",
        "Address of the page; by default only this computer reaches it",
        metavar="ADDRESS",
        example="0.0.0.0",
    )
    port: int = option(7860, "Port of the page", kind="integer", metavar="N", example="8000", least=1, most=65535)
