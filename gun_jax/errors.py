"""The one exception that means: what the user handed in cannot be used."""


class InputError(ValueError):
    """Bad input: its message is one line that says what, where, what was expected and the remedy.

    The programs print it as it is and exit with status 2; any other exception is a defect and keeps its traceback.
    """
