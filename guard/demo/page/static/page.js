// What htmx leaves to do: a key for Run, the language as a whole page, failures in words, and the eye led to the answer.
"use strict";

const form = document.getElementById("ask");
const result = document.getElementById("result");

document.getElementById("sql").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    document.getElementById("run").click();
  }
});

document.getElementById("language").addEventListener("click", (event) => {
  event.preventDefault();
  const look = document.createElement("input");
  look.type = "hidden";
  look.name = "do";
  look.value = "look";
  form.append(look);
  form.submit();
});

function fail(text) {
  const said = document.createElement("p");
  said.className = "outcome failed";
  said.textContent = text;
  result.replaceChildren(said);
}

document.body.addEventListener("htmx:responseError", (event) => fail(event.detail.xhr.responseText));
document.body.addEventListener("htmx:sendError", () => fail("The server does not answer. 服务器没有响应。"));

document.body.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target !== result) return;
  const title = document.getElementById("result-title");
  if (document.activeElement === document.body) title.focus({ preventScroll: true });
  const place = title.getBoundingClientRect();
  if (place.top < 0 || place.top > window.innerHeight * 0.6) {
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    result.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  }
});
