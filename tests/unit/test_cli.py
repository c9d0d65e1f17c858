"""Commands that cannot do what was asked: they say what to do, and change nothing."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from dagster_project import cli
from dagster_project.settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["rollback", "churn"], "holds no models yet: run `dsegment run`"),
        (["why", "a", "b"], "holds no people yet: run `dsegment run`"),
        (["train-matching"], "no entity of complete_journey has both an `attribute:`"),
        (["rollback", "churn", "--to", "a", "--let-go"], "give one of them"),
    ],
)
def test_a_command_without_its_tables_says_so_and_makes_no_folder(
    tmp_path: Path, command: list[str], said: str
) -> None:
    home = tmp_path / "home"
    name, *arguments = command
    result = CliRunner().invoke(cli.main.commands[name], arguments, obj=Settings(home=home))
    assert result.exit_code in (1, 2)
    assert said in result.output
    assert not home.exists()


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(SettingsError, match=r"DSEGMENT_HOME is .*/file/home, .*: Not a directory"):
        Settings(home=tmp_path / "file" / "home").claim_home()
    with pytest.raises(SettingsError, match=r"DSEGMENT_HOME is .*/file, a file; name a folder"):
        Settings.from_environment({"DSEGMENT_HOME": str(tmp_path / "file")})


@pytest.mark.parametrize(
    ("text", "said"), [("2999-12-31", "has not come"), ("31.12.2017", "write a day as YYYY-MM-DD")]
)
def test_a_today_that_cannot_be_is_refused(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"DSEGMENT_AS_OF is '{text}'.*{said}"):
        Settings.from_environment({"DSEGMENT_AS_OF": text})


@pytest.mark.parametrize("text", ["-5", "nan", "soon"])
def test_a_time_to_wait_that_never_ends_or_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=f"DSEGMENT_LOCK_TIMEOUT is '{text}'; write a number"):
        Settings.from_environment({"DSEGMENT_LOCK_TIMEOUT": text})
