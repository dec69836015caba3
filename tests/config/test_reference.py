"""The reference page and the list of settings tell the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from lastgood.config.names import ENVIRONMENT_ALIASES, FILE_ALIASES
from lastgood.config.reference import render
from lastgood.config.registry import SERVER_SETTINGS, SETTINGS
from lastgood.config.values import bare_type

ALL = (*SETTINGS, *(setting for some in SERVER_SETTINGS.values() for setting in some))
PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_committed_page_is_what_the_settings_say():
    assert PAGE.read_text() == render(), "run scripts/docs"


@pytest.mark.parametrize("setting", ALL, ids=lambda each: each.name)
def test_every_setting_has_help_and_stands_on_the_page(setting):
    assert setting.help.endswith(".")
    assert all(name in render() for name in (setting.key, setting.env, setting.help, setting.default_words))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: each.name)
def test_every_default_is_of_its_kind_and_absence_is_explained(setting):
    if setting.default is None or setting.default == ():
        assert setting.unset
        return
    kind = bare_type(setting.kind)
    assert setting.default in get_args(kind) if get_origin(kind) is Literal else isinstance(setting.default, kind)


def test_every_foreign_name_leads_to_a_setting_and_no_name_to_two():
    known = {setting.name for setting in ALL}
    assert all(alias.setting in known for alias in (*ENVIRONMENT_ALIASES, *FILE_ALIASES))
    names = [name for setting in ALL for name in setting.env_names()]
    assert len(names) == len(set(names))
