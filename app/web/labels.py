"""A coarse word for a browser, for people to recognise their own devices by. It identifies nobody and decides nothing."""


def N_(text: str) -> str:  # noqa: N802  the usual name: these words are translated where they are shown, as _(label)
    return text


_WORDS = (
    ("iPad", "iPad"),
    ("iPhone", "iPhone"),
    ("Android", "Android"),
    ("Windows", N_("Windows computer")),
    ("Macintosh", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", N_("Linux computer")),
)


def device_label(user_agent: str) -> str:
    """Android phone, iPad, Windows computer ..."""
    for mark, label in _WORDS:
        if mark in user_agent:
            if mark == "Android":
                return N_("Android phone") if "Mobile" in user_agent else N_("Android tablet")
            return label
    return N_("Browser")
