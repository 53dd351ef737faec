"""What a WSGI server and the `flask` command load."""

from app import create_app
from app.config import Settings
from app.errors import WrongSetting
from app.ops.harden import harden
from app.ops.logs import set_up_logs
from app.ops.migrate import migrate

try:
    harden()
    settings = Settings.from_env()
    set_up_logs(settings.log)
    migrate(settings)
    app = create_app(settings)
except WrongSetting as wrong:
    raise SystemExit(f"Kinfold can't start. {wrong}") from None
