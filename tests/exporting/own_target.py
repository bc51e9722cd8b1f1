"""A target in one file, as docs/howto/share.md shows it."""

from pathlib import Path

from interpfer.exporting.base import ExportRequest, ExportTarget


class NamesExport(ExportTarget):
    """The names of the images."""

    summary = "the names of the images that were scored, one a line"

    def files(self, request: ExportRequest) -> tuple[str, ...]:  # noqa: ARG002
        return ("names.txt",)

    def write(self, request: ExportRequest, folder: Path) -> list[str]:
        names = dict.fromkeys(request.run.per_image["image"])
        (folder / "names.txt").write_text("".join(f"{name}\n" for name in names))
        return [f"{len(names)} names"]
