import pytest

from kvision.checks import UserError
from kvision.flags import Parser


def parsed(*arguments: str):
    parser = Parser(prog="kvision toy")
    parser.add_argument("model")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--train-per-class", type=int)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ("m", "--epocs", "2"),
            "`--epocs` is not a flag of this command. Expected what `kvision toy --help` lists. "
            "Received: '--epocs 2'. Did you mean `--epochs`?",
        ),
        (("m", "--tran-per-class=3"), "Did you mean `--train-per-class`?"),
        (("m", "--xyz"), "Received: '--xyz'."),
        (("m", "n"), "`n` is not an argument of this command."),
        (("m", "--epochs", "two"), "argument --epochs: invalid int value: 'two'. `kvision toy --help` shows"),
        ((), "the following arguments are required: model."),
    ],
)
def test_a_mistake_is_a_line_that_says_what_to_type(arguments, text, capsys):
    with pytest.raises(SystemExit) as end:
        parsed(*arguments)
    error = capsys.readouterr().err
    assert end.value.code == 2 and text in error and error.startswith("kvision toy: ") and error.count("\n") == 1


def test_help_has_examples_and_no_measured_figures(capsys):
    text = "Trains.\n\nRun:      kvision toy\n          kvision toy --epochs 2\nExpect:   .99 (seed 0)\n"
    with pytest.raises(SystemExit):
        Parser(prog="kvision toy", description=text).parse_args(["--help"])
    help_text = capsys.readouterr().out
    assert (
        help_text.startswith("usage: kvision toy [flags]\n\nTrains.\n\nExamples: kvision toy\n")
        and ".99" not in help_text
    )


def test_an_error_that_names_parameters_is_told_in_flags():
    parser = Parser(prog="kvision toy")
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--train-per-class")
    parser.add_argument("--per-class", dest="train_per_class")
    problem = UserError("model, train_per_class, other", expected="no `train_per_class`", received="`model`")
    text = "`MODEL, --train-per-class, other` is not valid. Expected no `--train-per-class`."
    assert parser.in_flags(problem).startswith(text)


def test_a_right_call_is_parsed():
    assert vars(parsed("m", "--epochs", "2")) == {"model": "m", "epochs": 2, "train_per_class": None}
