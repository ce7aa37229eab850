#!/usr/bin/env python3
"""Looks at a comparison's page in a real browser: browser.py INDEX.html METHODS [SCREENSHOT_PREFIX]

Drives Chromium without a window through chromedriver (WebDriver over HTTP; nothing but Python's own modules). Prints
what is wrong, a line each, and ends with status 1; 77 when there is no browser."""
import base64
import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
RIGHT, DOWN = "\ue014", "\ue015"
problems = []


def check(condition, message):
    if not condition:
        problems.append(message)


class Driver:
    """One chromedriver on a port of its own choice."""

    def __init__(self):
        self.process = subprocess.Popen([shutil.which("chromedriver"), "--port=0"], stdout=subprocess.PIPE, text=True,
                                        stderr=subprocess.DEVNULL)
        for line in self.process.stdout:
            if "started successfully on port" in line:
                self.address = "http://127.0.0.1:" + line.rstrip(". \n").split()[-1]
                return
        raise RuntimeError("chromedriver did not start")

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{path}: {error.read().decode()[:600]}") from error

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Page:
    """A browser's session on one page."""

    def __init__(self, driver, url, width, height, phone):
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     f"--window-size={width},{height}"]
        options = {"args": arguments, "binary": shutil.which("chromium")}
        if phone:
            options["mobileEmulation"] = {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2}}
        capabilities = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = driver.call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self.driver, self.base = driver, "/session/" + made["sessionId"]
        self.post("/url", {"url": url})

    def post(self, path, body):
        return self.driver.call("POST", self.base + path, body)

    def run(self, script, *values):
        return self.post("/execute/sync", {"script": script, "args": list(values)})

    def find(self, selector):
        return self.post("/element", {"using": "css selector", "value": selector})[ELEMENT]

    def type(self, selector, keys):
        self.post(f"/element/{self.find(selector)}/value", {"text": keys})

    def drag(self, selector, begin, end):
        box = self.run("var e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center'});"
                       "var b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]", selector)
        y = round(box[1] + box[3] / 2)

        def move(part):
            return {"type": "pointerMove", "x": round(box[0] + part * box[2]), "y": y, "duration": 0}
        actions = [move(begin), {"type": "pointerDown", "button": 0}, move((begin + end) / 2), move(end),
                   {"type": "pointerUp", "button": 0}]
        self.post("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.driver.call("GET", self.base + "/screenshot")))

    def complaints(self):
        return [entry["message"] for entry in self.post("/se/log", {"type": "browser"})]

    def close(self):
        self.driver.call("DELETE", self.base)


def check_loading(page, folder, methods):
    state = page.run("""
        var images = Array.prototype.slice.call(document.images);
        return {broken: images.filter(i => !i.complete || !i.naturalWidth).length, images: images.length,
                mute: images.filter(i => !i.hasAttribute('alt')).length,
                embedded: images.filter(i => i.src.indexOf('data:') === 0).length,
                loaded: performance.getEntriesByType('resource').filter(r => r.name.indexOf('data:') !== 0).length,
                scripts: document.querySelectorAll('script').length,
                handlers: document.querySelectorAll('[onerror],[onload],[onclick]').length,
                links: Array.prototype.map.call(document.links, l => l.href),
                rows: document.querySelectorAll('.row').length}""")
    check(state["images"] == state["rows"] * (2 * methods + 1), f"{state['images']} images in {state['rows']} rows")
    check(state["broken"] == 0, f"{state['broken']} images are broken")
    check(state["mute"] == 0, f"{state['mute']} images have no alt text")
    check(state["embedded"] == state["images"], "images are loaded from outside the page")
    check(state["loaded"] == 0, "the page loads something")
    check(state["scripts"] == 1 and state["handlers"] == 0, "a name became markup")
    outside = 0
    for link in state["links"]:
        parts = urllib.parse.urlsplit(link)
        path = urllib.parse.unquote_to_bytes(parts.path)
        check(parts.scheme == "file" and not parts.query and path.startswith(os.fsencode(folder)), f"a link to {link}")
        check(os.path.exists(path), f"{link} does not exist")
        outside += not parts.fragment
    check(outside >= state["rows"] * (methods + 1), "pictures without a link to the full one")


WIPE = """var row = document.querySelector('.row'), over = row.querySelector('.over:not([hidden])');
return [row.querySelector('.slide').value, getComputedStyle(over).clipPath, row.querySelector('.edge').style.left,
        over.dataset.method, row.querySelector('.shown').textContent === over.dataset.name]"""


def check_wipe(page, methods):
    check(page.run(WIPE) == ["50", "inset(0px 0px 0px 50%)", "50%", "0", True], f"at first: {page.run(WIPE)}")
    page.type(".row .slide", RIGHT + RIGHT + RIGHT)
    check(page.run(WIPE)[:3] == ["53", "inset(0px 0px 0px 53%)", "53%"], f"three keys right: {page.run(WIPE)}")
    page.drag(".row .wipe", 0.5, 0.2)
    check(page.run(WIPE)[:3] == ["20", "inset(0px 0px 0px 20%)", "20%"], f"dragged to 20 %: {page.run(WIPE)}")
    if methods < 2:
        return
    page.type(".row .choices input", DOWN)
    check(page.run(WIPE)[3:] == ["1", True], f"another method by a key: {page.run(WIPE)}")
    page.type("#everywhere", DOWN)
    shown = page.run("return Array.prototype.map.call(document.querySelectorAll('.over:not([hidden])'),"
                     "i => i.dataset.method)")
    check(set(shown) == {"1"}, f"another method beside all inputs: {shown}")


def check_sorting(page):
    order = "return Array.prototype.map.call(document.querySelectorAll('.row'), r => Number(r.dataset.index))"
    values = ("return Array.prototype.map.call(document.querySelectorAll('.row'),"
              "r => Number(r.querySelector('td[data-key=\"seconds:0\"]').dataset.value))")
    change = ("var s = document.getElementById(arguments[0]); s.value = arguments[1];"
              "s.dispatchEvent(new Event('change'))")
    at_first = page.run(order)
    page.run(change, "sort", "seconds:0")
    check(page.run(values) == sorted(page.run(values)), "not sorted by time")
    page.run(change, "order", "down")
    check(page.run(values) == sorted(page.run(values), reverse=True), "not sorted by time, highest first")
    page.run(change, "sort", "name")
    page.run(change, "order", "up")
    check(page.run(order) == at_first, "not sorted back")


def check_width(page, width):
    found = page.run("return [innerWidth, document.documentElement.scrollWidth]")
    check(found[0] == width and found[1] <= width, f"{width} pixels wide: the page takes {found}")
    small = page.run("return Array.prototype.filter.call(document.querySelectorAll('.slide, select'),"
                     "e => e.getBoundingClientRect().height < 28).length")
    check(small == 0, f"{small} controls are too low for a finger")


def look(driver, index, methods, screenshots):
    url = "file://" + urllib.parse.quote(os.path.abspath(index))
    for width, height, phone in ((1280, 900, False), (360, 740, True)):
        page = Page(driver, url, width, height, phone)
        try:
            check_loading(page, os.path.dirname(os.path.abspath(index)), methods)
            if phone:
                check_width(page, width)
            else:
                check_wipe(page, methods)
                check_sorting(page)
            if screenshots:
                page.screenshot(f"{screenshots}_{width}.png")
            for complaint in page.complaints():
                check(False, f"the console says: {complaint}")
        finally:
            page.close()


def main():
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        return 77
    driver = Driver()
    try:
        look(driver, sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
    finally:
        driver.stop()
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
