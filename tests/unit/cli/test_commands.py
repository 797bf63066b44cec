"""What all commands of `aiodp` have in common."""

from __future__ import annotations

import sys

import click
import pytest
from click.testing import CliRunner

from aiodp.cli._command import Command, command
from aiodp.cli._main import _COMMANDS, cli, run


@command()
@click.option("--group", "--Group", "group")
@click.option("--number", type=int, default=1)
@click.option("--field", "fields", multiple=True)
@click.option("-v", "verbosity", count=True)
@click.option("--quiet", is_flag=True)
@click.option("--table/--no-table", default=None)
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def sample(**given: object) -> None:
    click.echo(repr(given))


def invoke(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(sample, arguments)
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ("--group a --group a", "--group"),
        ("--Group=a --group=b", "--group"),
        ("--number 1 --quiet --number 2", "--number"),
        ("--table --no-table", "--table"),
    ],
)
def test_an_option_with_one_value_is_given_once(arguments, name):
    """In whatever spelling: the one that is not taken may be the one that was meant."""
    code, text = invoke(*arguments.split())
    assert code == 2
    assert f"'{name}' is given 2 times, not once." in text


@pytest.mark.parametrize(
    "arguments",
    ["--field a --field a", "-v -v", "--quiet --quiet", "--group a -- --group b --group c"],
)
def test_what_has_several_values_or_none_may_be_repeated(arguments):
    """Nor are the arguments of another command options of ours."""
    assert invoke(*arguments.split())[0] == 0


def test_the_help_comes_first():
    """Whoever asks for it is told it."""
    assert "Show this message" in invoke(*["--group", "a", "--group", "b", "--help"])[1]


def test_the_environment_is_no_second_time(monkeypatch):
    """An option on the command line goes before its variable."""
    monkeypatch.setenv("X_GROUP", "b")
    done = CliRunner().invoke(sample, ["--group", "a"], auto_envvar_prefix="X")
    assert "'group': 'a'" in done.output


@pytest.mark.parametrize("name", _COMMANDS)
def test_each_command_is_one_of_these(name):
    """No option of any is taken twice."""
    assert isinstance(cli.get_command(click.Context(cli), name), Command)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("rnu", "No such command 'rnu'. Did you mean 'run'? See aiodp --help."),
        ("doctr", "No such command 'doctr'. Did you mean 'doctor'? See aiodp --help."),
        ("serve", "No such command 'serve'. See aiodp --help."),
        (
            "run --workergroup x",
            "No such option '--workergroup'. (Did you mean one of: '--worker-group', ",
        ),
        ("run --workerGroup a --workerGroup b", "'--worker-group' is given 2 times, not once."),
        ("hold --grece 3 id -- true", "'--grece'. Did you mean '--grace'?"),
    ],
)
def test_what_is_meant_is_guessed(monkeypatch, capsys, arguments, words):
    """For commands and for options."""
    monkeypatch.setattr(sys, "argv", ["aiodp", *arguments.split()])
    assert run() == 2
    assert words in capsys.readouterr().err
