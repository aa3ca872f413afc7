"""docs/settings.md is what the model says."""

from pathlib import Path

from treeward.runtime import settings_table
from treeward.runtime.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_of_settings_is_that_of_the_model() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_table.render(), (
        "run: python -m treeward.runtime.settings_table > docs/settings.md"
    )


def test_each_section_begins_with_a_setting_that_exists() -> None:
    assert settings_table.SECTIONS.keys() <= Settings.model_fields.keys()


def test_every_setting_is_explained() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"| `TREEWARD_{name.upper()}` |" in settings_table.render()
