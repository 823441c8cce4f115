"""Test modules that exist only in memory, with the fixtures and plugins of their folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SELECTING_PLUGINS = ("mark", "lfplugin", "nfplugin", "stepwiseplugin")
"""Plugins that select tests by `-k` or by earlier runs, which does not apply to drafts."""


class DraftModuleNode(pytest.Module):
    """The collector of a module whose `source` is not in a file."""

    source = ""

    def _getobj(self) -> ModuleType:
        module = ModuleType(self.path.stem)
        module.__file__ = str(self.path)
        # Dataclasses and similar look up their module by its name.
        sys.modules[module.__name__] = module
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)
        return module


def collect_items(session: pytest.Session, path: Path, source: str) -> list[pytest.Item]:
    """Collect the tests of a module as if it stood at `path`. Raises what importing it raises."""
    module = DraftModuleNode.from_parent(_folder_node(session, path.parent), path=path)
    module.source = source
    items = list(_items_in(module))
    positions = {item: position for position, item in enumerate(items)}
    plugins = session.config.pluginmanager
    selecting = filter(None, map(plugins.get_plugin, SELECTING_PLUGINS))
    modify_items = plugins.subset_hook_caller("pytest_collection_modifyitems", list(selecting))
    modify_items(session=session, config=session.config, items=items)
    # Plugins may have added or shuffled items.
    return sorted(items, key=lambda item: positions.get(item, len(positions)))


def extend_import_path(config: pytest.Config, folder: Path) -> None:
    """Extend `sys.path` as pytest does for a test module in `folder`, by its import mode."""
    if config.getoption("importmode") == "importlib":
        return
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _folder_node(session: pytest.Session, folder: Path) -> Any:
    """Return the collector of a folder, preferably that of its tests: it has their fixtures."""
    for item in session.items:
        for node in item.listchain():
            if isinstance(node, pytest.Dir | pytest.Package) and node.path == folder:
                return node
    return pytest.Dir.from_parent(session, path=folder)


def _items_in(collector: pytest.Collector) -> Iterator[pytest.Item]:
    for node in collector.collect():
        if isinstance(node, pytest.Item):
            yield node
        elif isinstance(node, pytest.Collector):
            yield from _items_in(node)
