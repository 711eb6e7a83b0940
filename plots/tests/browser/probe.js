// Runs inside the report, before anything else in it, and leaves what it finds in the page.
const errors = [];
addEventListener("error", (event) => errors.push(event.message));
addEventListener("securitypolicyviolation", (event) => errors.push(`blocked: ${event.blockedURI}`));
console.error = (...words) => errors.push(words.join(" "));

const all = (selector) => [...document.querySelectorAll(selector)];
const named = (element) =>
  `${element.tagName.toLowerCase()}#${element.id}.${element.className} ${element.textContent.slice(0, 40)}`;

/// What sticks out of the window, other than within a box that scrolls.
function overflowing() {
  const may = ".scroll *, pre *, svg *, .skip, .unseen, .unseen *";
  const width = document.documentElement.clientWidth;
  return all("body *").filter((element) => {
    const { left, right } = element.getBoundingClientRect();
    return !element.matches(may) && right > left && (right > width + 0.5 || left < -0.5);
  });
}

/// Which background each press of the button makes, and what it says of itself.
function presses() {
  const button = document.getElementById("scheme");
  const state = () => ({
    background: getComputedStyle(document.body).backgroundColor,
    paper: getComputedStyle(document.querySelector("figure svg rect")).fill,
    pressed: button.getAttribute("aria-pressed"),
  });
  const states = [state()];
  for (let press = 0; press < 2; press += 1) {
    button.click();
    states.push(state());
  }
  return states;
}

addEventListener("load", () => {
  all("details").forEach((details) => (details.open = true));
  const ids = all("[id]").map((element) => element.id);
  const label = (element) =>
    element.getAttribute("aria-label") ||
    document.getElementById(element.getAttribute("aria-labelledby"))?.textContent;
  const findings = {
    width: innerWidth,
    scroll_width: document.documentElement.scrollWidth,
    overflowing: overflowing().map(named).slice(0, 10),
    levels: all("h1, h2, h3, h4, h5, h6").map((heading) => Number(heading.tagName[1])),
    landmarks: ["header", "nav", "main"].map((name) => all(`body > ${name}`).length),
    tables_without_caption: all("table").filter((it) => !it.caption?.textContent.trim()).map(named),
    heads_without_scope: all("th:not([scope])").map(named),
    boxes_without_name_or_focus: all(".scroll, pre")
      .filter((it) => it.tabIndex !== 0 || !label(it))
      .map(named),
    pictures_without_words: all("svg")
      .filter((it) => !it.querySelector("title")?.textContent || !it.querySelector("desc")?.textContent)
      .map(named),
    repeated_ids: ids.filter((id, index) => ids.indexOf(id) !== index),
    first_stop: document.querySelector("a, button, [tabindex]").textContent,
    presses: presses(),
    errors,
  };
  const found = document.createElement("pre");
  found.id = "probe";
  found.textContent = btoa(unescape(encodeURIComponent(JSON.stringify(findings))));
  document.body.append(found);
});
