"""The tree drawn in the docstring is the tree of the classes."""

import inspect

from slipstream.model import errors


def drawn() -> dict[str, int]:
    """Class name -> depth, read off the drawing."""
    depths: dict[str, int] = {}
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ").split()
        if words and hasattr(errors, words[0]) and words[0][0].isupper():
            depths[words[0]] = (len(line) - len(line.lstrip(" │├└─")) - 4) // 4
    return depths


def test_the_drawing_is_the_tree() -> None:
    classes = {n: c for n, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__}
    depth = {n: len([b for b in c.__mro__ if b.__module__ == errors.__name__]) - 1 for n, c in classes.items()}
    assert drawn() == depth
