"""Kinfold: private, invite-only photo albums. This page wires the house together; each room explains itself."""

from pathlib import Path

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from app.accounts import views as accounts_pages
from app.albums import views as albums_pages
from app.answers import views as answers_pages
from app.config import Settings
from app.groups import views as groups_pages
from app.house import House, open_house
from app.ingest import tus as tus_pages
from app.ingest import views as ingest_pages
from app.media import views as media_pages
from app.notifications import views as notifications_pages
from app.ops import commands, metrics
from app.reports import views as reports_pages
from app.rights import views as rights_pages
from app.security.permissions import Asks
from app.sharing import door as door_pages
from app.sharing import views as sharing_pages
from app.viewing import installed as installed_pages
from app.viewing import styleguide
from app.viewing import views as viewing_pages
from app.viewing.media import PhotoBytes
from app.web import languages, public
from app.web.access import check_every_route_declares
from app.web.application import Kinfold, make_application

PROJECT = Path(__file__).resolve().parent.parent


def create_app(settings: Settings, house: House | None = None) -> Kinfold:
    """The web application of one process; tests bring a house with a clock that they can move.

    Raises `WrongSetting` when it can't start as it is set, and `RuntimeError` when a route does not say who may use it.
    """
    house = house or open_house(settings)
    app = make_application(house, PROJECT)
    app.extensions["kinfold_identifiers"] |= {Asks.MEMBER: accounts_pages.identify, Asks.DEVICE: sharing_pages.identify}
    accounts_pages.login_manager.init_app(app, add_context_processor=False)
    for views in (
        public,
        languages,
        accounts_pages,
        groups_pages,
        albums_pages,
        media_pages,
        ingest_pages,
        tus_pages,
        sharing_pages,
        answers_pages,
        notifications_pages,
        door_pages,
        reports_pages,
        viewing_pages,
        installed_pages,
        rights_pages,
    ):
        app.register_blueprint(views.pages)
    if settings.development:
        app.register_blueprint(styleguide.pages)
    app.context_processor(groups_pages.about_me)
    commands.install(app)
    check_every_route_declares(app)
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/m": PhotoBytes(house, app.extensions["kinfold_long_answers"])})  # type: ignore[method-assign]
    if house.settings.trusted_proxies:
        hops = house.settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    metrics.install(app, house)
    return app
