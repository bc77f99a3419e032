"""Hooks of the documentation site: pages that the repository keeps outside `docs/`."""

from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
# The page of the site for each file, which keeps its place for readers of the repository.
OUTSIDE = {"benchmarks/README.md": "benchmarks.md", "CHANGELOG.md": "changelog.md"}


def on_files(files, config):
    """Add the pages from outside; their links into `docs/` become links beside them."""
    for source, page in OUTSIDE.items():
        text = (ROOT / source).read_text("utf-8").replace("](../docs/", "](").replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown, **_):
    """Let links to the files outside lead to their pages."""
    for source, page in OUTSIDE.items():
        markdown = markdown.replace(f"](../{source})", f"]({page})")
    return markdown
