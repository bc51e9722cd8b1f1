"""safetensors: weights and a little text, no code."""

from pathlib import Path

from interpfer.errors import ModelError
from interpfer.models.readers.base import Read, Request
from interpfer.models.readers.contents import without_wrappers
from interpfer.models.readers.signatures import first_line, is_safetensors


class SafeTensors:
    """Reads one safetensors file."""

    def accepts(self, path: Path) -> bool:
        """Look for the header."""
        return is_safetensors(path)

    def read(self, path: Path, request: Request) -> Read:  # noqa: ARG002
        """Read the weights; nothing in such a file can run."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            weights = load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(
                f"{path} is a broken safetensors file ({first_line(error)}); copy or download it again."
            ) from error
        if not weights:
            raise ModelError(f"{path} is a safetensors file without any tensor.")
        return Read("safetensors", without_wrappers(weights))
