"""The page below a prefix, behind the nginx of deploy/nginx."""

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.watching import settled
from tests.support.nginx import proxied
from tests.support.servers import Server


def test_the_page_works_below_a_prefix(
    running: Server, open_page: OpenPage, tmp_path: Path
) -> None:
    with proxied(running.host, tmp_path, "prefix.conf", live=running.host) as proxy:
        watched = settled(open_page(f"{proxy.url}/#/tasks"))
        expect(watched.page.get_by_role("heading", name="Tasks", level=1)).to_be_visible()
        assert watched.said == []
        assert all(f"{proxy.host}{proxy.prefix}/" in url for url in watched.asked)
