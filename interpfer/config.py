"""Options in a file: YAML that a person writes or ``--print-config`` prints, and the run.json of an earlier run."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from interpfer.errors import InterpferError
from interpfer.files import parse_json, parse_yaml
from interpfer.options import RUN_OPTIONS, Option, Options, default_of, option_fields


def read_config(path: str | Path) -> dict[str, Any]:
    """Read named values out of a YAML file, or out of a run.json.

    Raises:
        InterpferError: the file cannot be read, or contains no mapping of names.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        content = parse_json(text) if path.suffix == ".json" else parse_yaml(text, _Yaml)
    except (OSError, ValueError) as error:
        raise InterpferError(f"cannot read the config file {path}: {' '.join(str(error).split())}.") from error
    if isinstance(content, dict) and path.suffix == ".json":
        if RUN_OPTIONS not in content:
            raise InterpferError(f"{path} contains no options: pass a YAML file, or a run.json of this version.")
        content = content[RUN_OPTIONS]
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise InterpferError(f"the config file {path} must hold one 'name: value' per line.")
    return {name.replace("-", "_"): value for name, value in content.items()}


def write_config(options: Options) -> str:
    """Return YAML that ``read_config`` reads, each option with its help as a comment."""
    blocks, values = [], options.to_dict()
    for each in option_fields(type(options)):
        facts: Option = each.metadata["option"]
        choices = f" One of: {', '.join(facts.choices)}." if facts.choices else ""
        value = json.dumps(values[each.name])
        text = f"false: {facts.help}" if facts.kind == "switch" and default_of(each) else facts.help
        blocks.append(f"# {text}.{choices}\n{each.name}: {value}\n")
    return "\n".join(blocks)


class _Yaml(yaml.SafeLoader):
    """YAML 1.2 in two points: ``1e-5`` is a number, and only true and false are switches (``off`` is a word)."""


_Yaml.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)
