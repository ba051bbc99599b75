"""The guide says what there is."""

import re
from pathlib import Path

import pytest

from runstead.platform.config import PLATFORM_SECTIONS, PROFILES
from runstead.platform.config.environment import OTHER_NAMES, SHORT_NAMES
from runstead.platform.config.keypath import dotted

GUIDE = (Path(__file__).parents[4] / "docs/configuration.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "word",
    [
        *(
            f"{section}.{field}"
            for section, spec in PLATFORM_SECTIONS.items()
            for field in spec.struct.__struct_fields__
        ),
        *sorted(OTHER_NAMES),
        *PROFILES,
    ],
)
def test_every_field_variable_and_profile_is_in_the_guide(word: str) -> None:
    assert f"`{word}`" in GUIDE


def test_the_short_names_are_those_of_the_guide() -> None:
    rows = re.findall(r"^\| `(RUNSTEAD_[A-Z_]+)` \| `([a-z_.]+)` \|$", GUIDE, re.MULTILINE)
    assert dict(rows) == {name: dotted(path) for name, path in SHORT_NAMES.items()}


@pytest.mark.parametrize("section", PLATFORM_SECTIONS)
def test_simple_defaults_are_those_of_the_guide(section: str) -> None:
    settings = PLATFORM_SECTIONS[section].struct()
    for field, default in re.findall(rf"^\| `{section}\.(\w+)` \| `([^`]+)` \| ", GUIDE, re.MULTILINE):
        value = getattr(settings, field)
        assert str(value).lower() == default or not value
