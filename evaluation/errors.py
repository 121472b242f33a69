"""The errors that this project raises on purpose: each says where, what rule, and how to mend it."""

from __future__ import annotations


class EvaluationError(Exception):
    """A refusal with a reason.

    Parameters
    ----------
    message : str
        What is wrong and by which rule, as a sentence.
    where : str, optional
        The file, row, column, key or cell concerned.
    mend : str, optional
        What the reader can do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str | None = None, mend: str | None = None):
        self.message, self.where, self.mend = message, where, mend
        super().__init__(message)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        if self.mend:
            text = f"{text.rstrip()}{'' if text.rstrip().endswith(('.', '?', '!')) else '.'} Mend: {self.mend}"
        return text


class StageError(EvaluationError):
    """A stage did not finish (exit code 1)."""

    exit_code = 1


class ParameterError(EvaluationError):
    """A parameter is unknown, missing, mistyped or out of range (exit code 2)."""

    exit_code = 2


class ContractError(EvaluationError):
    """A notebook, stage or table does not keep to what it declares (exit code 2)."""

    exit_code = 2


class DataError(EvaluationError):
    """Data that were supplied break a rule (exit code 3)."""

    exit_code = 3


class UnidentifiedError(EvaluationError):
    """The data cannot answer the question that was asked of them (exit code 3)."""

    exit_code = 3


class GateError(EvaluationError):
    """A report did not pass a gate and was not written (exit code 4)."""

    exit_code = 4
