"""Web pages, each one self-contained HTML file: `draw_page` runs the network itself, `service_page` asks a service.

Their parts are the JavaScript, CSS and HTML files beside this one. No page loads anything from another place: the
policy in its head forbids it, and allows only the scripts and the style that the page was made with.
"""

from siamese_jax.pages.assemble import FOLDER
from siamese_jax.pages.draw import Gallery, Network, draw_page
from siamese_jax.pages.service import service_page

__all__ = ["FOLDER", "Gallery", "Network", "draw_page", "service_page"]
