"""What axe finds on a page, and what of it is the theme's own."""

THEME = {"region", "label-content-name-mismatch"}
"""Rules that every page breaks."""
BIBLIOGRAPHY = {"aria-required-children", "aria-allowed-role", "aria-deprecated-role"}
"""Rules broken in addition where Sphinx lists references."""
UNFOLD = "() => document.querySelectorAll('details').forEach((part) => { part.open = true; })"
COME_TO_REST = """() => Promise.all(document.getAnimations()
    .filter((moving) => Number.isFinite(moving.effect.getComputedTiming().endTime))
    .map((moving) => moving.finished.catch(() => null)))"""
RUN = "() => axe.run(document, { resultTypes: ['violations'] }).then((done) => done.violations)"
SHOWN = 3  # places of one rule


def violations(page, axe):
    """Rules that a page breaks with every folded part open: by name the first places."""
    page.evaluate(UNFOLD)
    page.evaluate(COME_TO_REST)
    page.evaluate(axe)
    found = page.evaluate(RUN)
    return {v["id"]: [node["html"][:120] for node in v["nodes"][:SHOWN]] for v in found}


def beyond_the_theme(found, page):
    """Those of them that the theme does not break by itself."""
    known = THEME | (BIBLIOGRAPHY if page.locator("div.citation").count() else set())
    return {rule: places for rule, places in found.items() if rule not in known}
