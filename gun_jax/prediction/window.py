"""A window that shows images."""

import time

import numpy as np
from PIL import Image

from gun_jax.errors import InputError

_MAX_SIZE = 1600, 900  # (width, height)
_PERIOD = 0.02  # seconds, between two looks at the keys


class Window:
    """Shows one image after the other on the screen; use it as a context. Closing it, q and Escape end it.

    Raises:
      InputError: there is no screen, or Python has no Tk.
    """

    def __init__(self, title: str):
        try:
            import tkinter
        except ImportError as error:
            raise InputError("--show needs Tk, which this Python lacks; install python3-tk, or leave it out") from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise InputError(f"--show needs a screen: {error}; leave it out to write files alone") from error
        self.closed = False
        self._root.title(title)
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        for key in ("q", "<Escape>"):
            self._root.bind(key, self._close)
        self._place = tkinter.Label(self._root, borderwidth=0)
        self._place.pack()

    def __enter__(self) -> "Window":
        return self

    def __exit__(self, *_: object) -> None:
        self._root.destroy()

    def show(self, picture: np.ndarray) -> None:
        """Shows an image, uint8 (H, W, 3) RGB, shrunk if it is larger than screens are."""
        from PIL import ImageTk

        shown = Image.fromarray(picture)
        shown.thumbnail(_MAX_SIZE)
        self._photo = ImageTk.PhotoImage(shown)  # Tk keeps no reference of its own
        self._place.configure(image=self._photo)
        self._root.update()

    def wait(self) -> None:
        """Waits until a user closes it."""
        while not self.closed:
            self._root.update()
            time.sleep(_PERIOD)

    def _close(self, _: object = None) -> None:
        self.closed = True
