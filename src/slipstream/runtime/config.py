"""Configuration: a YAML file, environment variables and flags into one checked pydantic model.

Precedence: flags, then the file, then the environment, then ``.env`` files. Every error says what is wrong, where
(file, line and column, flag or variable) and how to mend it. A key the model does not know is refused, with the nearest
one it does; a key that comes twice is refused; so is a file of another version.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from dotenv import dotenv_values
from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from slipstream.model.errors import ConfigError
from slipstream.runtime.entries import of_entry, place_of, without_own

Model = TypeVar("Model", bound=BaseModel)
Loc = tuple[str | int, ...]
_SECRET_WORDS = ("secret", "password", "private_key", "api_key", "token")


def load(
    path: Path | None,
    model: type[Model],
    *,
    env_prefix: str = "",
    overrides: Mapping[str, Any] | None = None,
    env: Mapping[str, str] | None = None,
    env_files: Iterable[Path] = (),
    version: int = 1,
) -> Model:
    """Read a config file into a model.

    ``overrides`` are flags by dotted key (``portfolio.gross_cap``); a value of None means the flag was not given. Of
    models with named entries (`slipstream.runtime.entries`) a flag also means the entries that differ.
    ``env_prefix`` selects variables such as ``SLIPSTREAM_BRAWLER_PORTFOLIO__GROSS_CAP`` (two underscores descend).
    Variables count below the file, ``env_files`` (dotenv) below them. Raises ConfigError.
    """
    document = read_yaml(path) if path is not None else CommentedMap()
    name = str(path) if path is not None else "<no file>"
    if path is not None:
        _check_version(document, name, version, model)
    _check_keys(document, model, name, ())
    variables = read_env_files(env_files) | dict(os.environ if env is None else env)
    origins: dict[Loc, str] = {}
    merged = _from_env(variables, env_prefix, model, origins) if env_prefix else {}
    _merge(merged, _plain(document))
    flags = {key: value for key, value in (overrides or {}).items() if value is not None}
    without_own(merged, model, flags)
    for key in sorted(flags, key=lambda flag: flag.count(".")):  # lists before their entries
        loc = _put_flag(merged, tuple(key.split(".")), flags[key], model)
        origins[loc] = f"flag --{key.replace('.', '-').replace('_', '-')}"
    try:
        return model.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(_explain(error, document, name, origins)) from None


def read_yaml(path: Path) -> CommentedMap:
    """A YAML mapping with its line numbers. Raises ConfigError: unreadable, not YAML, duplicate key, not a mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, _siblings(path), n=1)
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        raise ConfigError(f"{path}: no such file{hint}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        document = YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        where = _mark(path, error)
        problem = str(error.problem).split(" with value", maxsplit=1)[0]
        raise ConfigError(f"{where}: {problem}; keep one of the two") from None
    except MarkedYAMLError as error:
        raise ConfigError(f"{_mark(path, error)}: not valid YAML: {error.problem or error.context}") from None
    except YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if document is None:
        return CommentedMap()
    if not isinstance(document, CommentedMap):
        kind = "list" if isinstance(document, list) else f"single value ({document!r})"
        raise ConfigError(f"{path}:1:1: a config file is a mapping of keys to values, not a {kind}")
    return document


def _siblings(path: Path) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return []


def _mark(path: Path, error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"{path}:{mark.line + 1}:{mark.column + 1}" if mark is not None else str(path)


def read_env_files(paths: Iterable[Path]) -> dict[str, str]:
    """Variables of dotenv files; an earlier file wins. A missing file is skipped. Raises ConfigError."""
    out: dict[str, str] = {}
    for path in paths:
        if path.is_file():
            try:
                found = dotenv_values(path, interpolate=False)
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigError(f"{path}: cannot be read: {error}") from None
            out = {key: value for key, value in found.items() if value is not None} | out
    return out


def _check_version(document: CommentedMap, name: str, version: int, model: type[BaseModel]) -> None:
    if "version" not in model.model_fields:
        return
    if "version" not in document:
        raise ConfigError(f"{name}:1:1: the key `version` is missing; add `version: {version}`")
    if document["version"] != version:
        where = _where(document, name, ("version",))
        raise ConfigError(f"{where}: version {document['version']!r} is not known; this release reads {version}")


def _keys(model: type[BaseModel]) -> dict[str, Any]:
    """Keys a model takes in a file, by name or alias, with the annotations of their values."""
    keys: dict[str, Any] = {}
    for field_name, field in model.model_fields.items():
        if field.alias is None or model.model_config.get("populate_by_name"):
            keys[field_name] = field.annotation
        if field.alias is not None:
            keys[field.alias] = field.annotation
    return keys


def _inner(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The model inside an annotation and how it is held: ``one``, ``list`` or ``dict``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, "one"
    origin = get_origin(annotation)
    held = "list" if origin in (list, tuple, set) else "dict" if origin in (dict, Mapping) else "one"
    for argument in get_args(annotation):
        found, how = _inner(argument)
        if found is not None:
            return found, how if held == "one" else held
    return None, "one"


def _check_keys(node: Any, model: type[BaseModel], name: str, loc: Loc, root: CommentedMap | None = None) -> None:
    """Refuse keys that the model does not have, with the nearest that it does."""
    root = node if root is None else root
    if not isinstance(node, dict):
        return
    known = _keys(model)
    for key, value in node.items():
        if key not in known:
            if model.model_config.get("extra") == "allow":
                continue
            other = "" if loc else _elsewhere(key, model)
            where = _where(root, name, (*loc, key))
            raise ConfigError(f"{where}: unknown key `{_dotted((*loc, key))}`{_hint(key, known, other)}")
        inner, held = _inner(known[key])
        if inner is None:
            continue
        here: Loc = (*loc, key)
        if held == "one":
            _check_keys(value, inner, name, here, root)
        elif held == "list" and isinstance(value, list):
            for index, item in enumerate(value):
                _check_keys(item, inner, name, (*here, index), root)
        elif held == "dict" and isinstance(value, dict):
            for item_key, item in value.items():
                _check_keys(item, inner, name, (*here, item_key), root)


def _elsewhere(key: object, model: type[BaseModel]) -> str:
    """Where in the blocks of the model a key of this very name stands; empty if nowhere."""
    for name, annotation in _keys(model).items():
        inner, held = _inner(annotation)
        if inner is not None and held == "one" and str(key) in _keys(inner):
            return f"{name}.{key}"
    return ""


def _hint(key: object, known: Iterable[str], other: str = "") -> str:
    if other:
        return f"; did you mean `{other}`?"
    names = sorted(known)
    near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.6)
    return f"; did you mean `{near[0]}`?" if near else f"; known keys here: {', '.join(names)}"


def _put_flag(tree: dict[str, Any], loc: tuple[str, ...], value: Any, model: type[BaseModel]) -> Loc:
    """Put a flag's value where it belongs; the place. Raises ConfigError."""
    if not of_entry(model, loc):
        _check_override(loc, model)
        _put(tree, loc, value)
        return loc
    place = place_of(tree, model, loc)
    entry, _ = _inner(_keys(model)[loc[0]])
    assert entry is not None, "ENTRIES names a list of blocks"
    _check_override(loc[2:], entry, loc[:2])
    _put(tree[loc[0]][place], loc[2:], value)
    return (loc[0], place, *loc[2:])


def _check_override(loc: Loc, model: type[BaseModel], within: Loc = ()) -> None:
    known = _keys(model)
    for depth, key in enumerate(loc):
        if key not in known:
            other = "" if depth or within else _elsewhere(key, model)
            dotted = _dotted((*within, *loc[: depth + 1]))
            raise ConfigError(f"flag: unknown key `{dotted}`{_hint(key, known, other)}")
        inner, held = _inner(known[str(key)])
        if inner is None or held != "one":
            return
        known = _keys(inner)


def _where(document: CommentedMap, name: str, loc: Loc) -> str:
    """``file:line:column`` of a key, or of the nearest enclosing one that the file has."""
    node: Any = document
    line, column = 0, 0
    for key in loc:
        if isinstance(node, CommentedMap) and key in node:
            line, column = node.lc.key(key)
        elif isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
            line, column = node.lc.item(key)
        else:
            break
        node = node[key]
    return f"{name}:{line + 1}:{column + 1}"


def _dotted(loc: Iterable[object]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return node


def _merge(base: dict[str, Any], over: dict[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        else:
            base[key] = value


def _put(tree: dict[str, Any], loc: Loc, value: Any) -> None:
    for key in loc[:-1]:
        child = tree.get(str(key))
        tree = tree.setdefault(str(key), {}) if isinstance(child, dict) or child is None else tree
    tree[str(loc[-1])] = value


def _from_env(variables: Mapping[str, str], prefix: str, model: type[BaseModel], origins: dict[Loc, str]) -> Any:
    """The tree that variables with a prefix spell. Lists and mappings are JSON. Unknown names are left alone:
    the environment belongs to everybody."""
    tree: dict[str, Any] = {}
    for variable, text in sorted(variables.items()):
        if not variable.upper().startswith(prefix.upper()):
            continue
        loc = tuple(part.lower() for part in variable[len(prefix) :].split("__"))
        annotation = _annotation(model, loc)
        if annotation is None:
            continue
        _put(tree, loc, _value(text, annotation, variable))
        origins[loc] = f"environment variable {variable}"
    return tree


def _annotation(model: type[BaseModel], loc: Loc) -> Any:
    """The annotation of the value at a place, or None if the model has none there."""
    annotation: Any = model
    for key in loc:
        inner, held = _inner(annotation)
        known = _keys(inner) if inner is not None and held == "one" else {}
        if key not in known:
            return None
        annotation = known[str(key)]
    return annotation


def _value(text: str, annotation: Any, variable: str) -> Any:
    kinds = {get_origin(annotation), *(get_origin(arm) for arm in get_args(annotation))}
    if not kinds & {list, tuple, set, dict} and _inner(annotation)[0] is None:
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f'environment variable {variable}: expected JSON such as ["BTC"]: {error}') from None


def _explain(error: ValidationError, document: CommentedMap, name: str, origins: Mapping[Loc, str]) -> str:
    """One line per finding, each with its place; the values of secrets are not repeated."""
    lines = []
    for item in error.errors(include_url=False):
        loc = tuple(item["loc"])
        origin = next((origins[loc[:n]] for n in range(len(loc), 0, -1) if loc[:n] in origins), None)
        where = origin or _where(document, name, loc)
        message = str(item["msg"]).removeprefix("Value error, ")
        message = message[:1].lower() + message[1:]
        dotted = _dotted(loc)
        given = "" if item["type"] == "missing" or _is_secret(dotted) else _given(item.get("input"))
        lines.append(f"{where}: `{dotted}`: {message}{given}" if dotted else f"{where}: {message}")
    return "\n".join(lines)


def _given(value: object) -> str:
    return f" (given {value!r})" if isinstance(value, str | int | float | bool) or value is None else ""


def _is_secret(dotted: str) -> bool:
    return any(word in dotted.lower() for word in _SECRET_WORDS)
