"""A coarse word for a browser, for people to recognise their own devices by. It identifies nobody and decides nothing."""

_WORDS = (
    ("iPad", "iPad"),
    ("iPhone", "iPhone"),
    ("Android", "Android"),
    ("Windows", "Windows computer"),
    ("Macintosh", "Mac"),
    ("CrOS", "Chromebook"),
    ("Linux", "Linux computer"),
)


def device_label(user_agent: str) -> str:
    """Android phone, iPad, Windows computer ..."""
    for mark, label in _WORDS:
        if mark in user_agent:
            if mark == "Android":
                return "Android phone" if "Mobile" in user_agent else "Android tablet"
            return label
    return "Browser"
