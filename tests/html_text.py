"""A page of HTML, read without a browser."""

import json
import re
from html.parser import HTMLParser

VOID_TAGS = {"meta", "img", "br", "input", "link"}


class Page(HTMLParser):
    """The text of a page; asserts that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.links, self.tags = [], "", [], set()
        self.ids, self.titles = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [v for name, v in attrs if name in ("src", "href", "srcset")]
        self.ids += [v for name, v in attrs if name == "id"]
        self.titles += [v for name, v in attrs if name == "title"]
        if tag not in VOID_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    @property
    def words(self):
        return " ".join(self.text.split())


def frames_of(text):
    """The frames of each picture in an evaluation's page, as its script reads them."""
    found = re.findall(r'<script type="application/json">(.*?)</script>', text)
    return [json.loads(data) for data in found]
