"""The page of a service: draw or choose a picture and see which class it shows."""

from siamese_jax.pages.assemble import as_json, assemble

SCRIPTS = ("ink.js", "pad.js", "answer.js", "service.js")


def service_page(title: str, may_enrol: bool) -> str:
    """Return the page at `/` of a service. It sends requests to that service only.

    Args:
      title: What the page is called, any text.
      may_enrol: Whether visitors may enrol pictures.
    """
    facts = as_json({"mayEnrol": may_enrol})
    return assemble("service.html", title, SCRIPTS, {"facts": facts}, connect="'self'")
