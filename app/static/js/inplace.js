// A form whose answer is this page again, a little changed: it is sent behind the page, and only the part around it is swapped.

const here = location.pathname + location.search; // of this page: full screen, the address is a photo's

export default function inplace(form) {
  let button = null; // which one was tapped; `event.submitter` is younger than the browsers that come here
  form.addEventListener("click", (event) => { button = event.target.closest("button[name]"); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.dataset.sent) return;
    const body = new FormData(form);
    if (button) body.append(button.name, button.value);
    send(form, body);
  });
}

// Sends a form in our own words. Resolves to whether it was taken; what was wrong stands above the form, and nothing that was typed is lost.
export function send(form, body) {
  const part = form.closest("section[id]");
  form.dataset.sent = "yes";
  return fetch(form.action, { method: "POST", body: body, credentials: "same-origin" }).then((answer) => answer.text().then((text) => {
    delete form.dataset.sent;
    const page = new DOMParser().parseFromString(text, "text/html");
    if (answer.ok && swap(part.id, page)) return true;
    if (answer.ok || answer.status === 404 || answer.status === 410) location.reload(); // another page, or it is over: that one says so
    else tell(form, page.querySelector("main .error") || page.querySelector("main p"));
    return answer.ok;
  })).catch(() => {
    delete form.dataset.sent;
    tell(form, { textContent: part.dataset.offline });
    return false;
  });
}

// Brings a part of this page up to date. Resolves to whether the page still has it; rejects when that can't be known just now.
export function refresh(id) {
  return fetch(here, { credentials: "same-origin" }).then((answer) => {
    if (!answer.ok || answer.redirected) throw new Error("the page does not answer");
    return answer.text();
  }).then((text) => swap(id, new DOMParser().parseFromString(text, "text/html")));
}

function swap(id, page) {
  const old = document.getElementById(id);
  const fresh = page.getElementById(id);
  if (!old || !fresh) return false;
  const inside = old.contains(document.activeElement) && document.activeElement.id;
  old.replaceWith(document.adoptNode(fresh));
  fresh.dispatchEvent(new CustomEvent("kinfold:new", { bubbles: true }));
  if (inside !== false) (inside && document.getElementById(inside) || focusable(fresh)).focus({ preventScroll: true });
  return true;
}

function focusable(part) {
  part.tabIndex = -1;
  return part;
}

function tell(form, words) {
  const old = form.querySelector("[role=alert]");
  if (old) old.remove();
  const line = document.createElement("p");
  line.className = "error";
  line.setAttribute("role", "alert");
  line.textContent = words ? words.textContent.trim() : "";
  form.insertBefore(line, form.children[1] || null); // the form's token stays first
}
