"""A window that shows images."""

import time

import numpy as np
from PIL import Image

from gun_jax.errors import InputError

_MAX_SIZE = 1600, 900  # (width, height)
_PERIOD = 0.02  # seconds between two polls of the keyboard


class Window:
    """A window on the screen, used as a context. A user closes it by its button, q or Escape.

    Raises:
      InputError: there is no screen, or Python has no Tk.
    """

    def __init__(self, title: str):
        try:
            import tkinter
        except ImportError as error:
            raise InputError("--show needs Tk, which this Python lacks; install python3-tk or drop --show") from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise InputError(f"--show needs a screen: {error}; drop --show to only write files") from error
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

    def show(self, image: np.ndarray) -> None:
        """Shows an image, uint8 (H, W, 3) RGB, shrunk if it is larger than 1600x900."""
        from PIL import ImageTk

        shown = Image.fromarray(image)
        shown.thumbnail(_MAX_SIZE)
        self._photo = ImageTk.PhotoImage(shown)  # Tk keeps no reference of its own
        self._place.configure(image=self._photo)
        self._root.update()

    def wait(self) -> None:
        """Waits until the user closes the window."""
        while not self.closed:
            self._root.update()
            time.sleep(_PERIOD)

    def _close(self, _: object = None) -> None:
        self.closed = True
