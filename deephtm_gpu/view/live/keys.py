"""The keys of the window."""

import glfw


def pressed(window, key, repeated):
    """Runs the action of a key. window: a `window.LiveWindow`. repeated: whether the key is held down."""
    training = window.training
    if key == glfw.KEY_RIGHT:
        training.one_step()
    if repeated:
        return
    if key == glfw.KEY_SPACE:
        training.pause()
    elif key == glfw.KEY_UP:
        training.faster(1)
    elif key == glfw.KEY_DOWN:
        training.faster(-1)
    elif key == glfw.KEY_R:
        training.reset()
    elif key == glfw.KEY_G:
        training.dream()
    elif key == glfw.KEY_T:
        window.turn_theme()
    elif key == glfw.KEY_S:
        window.save()
    elif key in (glfw.KEY_Q, glfw.KEY_ESCAPE):
        window.close()
