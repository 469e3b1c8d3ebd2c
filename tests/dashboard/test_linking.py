"""Modules joined into one: what each exports and imports stays what it was."""

import pytest

from loki_web.dashboard.linking import JOINED, Unknown, linked

SHARED = ("js/core/",)


def test_an_import_becomes_what_the_other_module_returned() -> None:
    served = linked(
        {
            "js/core/a.js": "export const one = 1;\n",
            "js/core/b.js": "import { one as first } from './a.js';\nexport function f() {}\n",
            "js/app.js": "import * as b from './core/b.js';\nb.f();\n",
        },
        "js/app.js",
        SHARED,
    )
    assert list(served) == [JOINED]
    text = served[JOINED]
    assert "const { one: first } = core_a;" in text
    assert "const b = core_b;" in text
    assert text.index("core_a = ") < text.index("core_b = ") < text.index("app = ")
    assert "return { f };" in text
    assert text.endswith("export { core_a, core_b, app };\n")


def test_a_module_beside_it_imports_from_the_joined_one() -> None:
    modules = {
        "js/core/a.js": "export class A {}\nimport('../views/v.js');\n",
        "js/views/v.js": "import { A } from '../core/a.js';\nexport const v = A;\n",
        "js/app.js": "",
    }
    served = linked(modules, "js/app.js", SHARED)
    assert served["js/views/v.js"].splitlines()[:2] == [
        "import { core_a } from '../page.js';",
        "const { A } = core_a;",
    ]
    assert "import('./views/v.js');" in served[JOINED]


def test_comments_of_whole_lines_are_left_out() -> None:
    text = "// a\n/**\n * b\n */\nconst x = 'http://c'; // d\n/** e */\nx();\n"
    assert linked({"js/x.js": text}, "js/app.js", SHARED)["js/x.js"] == (
        "const x = 'http://c'; // d\nx();\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "export default 1;",
        "export { a };",
        "export * from './b.js';",
        "import a from './b.js';",
        "import {\n  a,\n} from './b.js';",
        "import { a } from '/b.js';",
    ],
)
def test_a_form_that_is_not_known_is_refused(text: str) -> None:
    with pytest.raises(Unknown, match=r"js/core/a\.js"):
        linked({"js/core/a.js": text, "js/core/b.js": ""}, "js/app.js", SHARED)


def test_a_circle_is_refused() -> None:
    modules = {
        "js/core/a.js": "import { b } from './b.js';",
        "js/core/b.js": "import { a } from './a.js';",
    }
    with pytest.raises(Unknown, match="imports itself"):
        linked(modules, "js/app.js", SHARED)
