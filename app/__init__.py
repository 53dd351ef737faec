"""Kinfold: private, invite-only photo albums. This page wires the house together; each room explains itself."""

from pathlib import Path

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from app.accounts import views as accounts
from app.albums import views as albums
from app.config import Settings
from app.groups import views as groups
from app.house import House, open_house
from app.ingest import views as ingest
from app.media import views as media
from app.ops import commands
from app.security.permissions import Asks
from app.sharing import views as sharing
from app.viewing import views as viewing
from app.viewing.media import PhotoBytes
from app.web import public
from app.web.access import declared
from app.web.application import Kinfold, make_application

PROJECT = Path(__file__).resolve().parent.parent


def create_app(settings: Settings, house: House | None = None) -> Kinfold:
    """The web application of one process; tests bring a house with a clock that they can move.

    Raises `WrongSetting` when it can't start as it is set, and `RuntimeError` when a route does not say who may use it.
    """
    house = house or open_house(settings)
    app = make_application(house, PROJECT)
    app.extensions["kinfold_identifiers"] |= {Asks.MEMBER: accounts.identify, Asks.DEVICE: sharing.identify}
    accounts.login_manager.init_app(app)
    for room in (public, accounts, groups, albums, media, ingest, sharing, viewing):
        app.register_blueprint(room.pages)
    app.context_processor(groups.about_me)
    commands.install(app)
    declared(app)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/m": PhotoBytes(house)})  # type: ignore[method-assign]
    if house.settings.trusted_proxies:
        hops = house.settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app
