// Attaches behaviours: an element with data-module="name other" gets the default export of name.js and other.js.
// Every page works without any of them. Browsers that do not know import() stop reading here, and that is fine too.

function load(name) {
  return import("./" + name + ".js");
}

function attach(root) {
  const all = (selector) => Array.from(root.querySelectorAll(selector)).concat(root.matches && root.matches(selector) ? root : []);
  for (const element of all("[data-module]")) {
    for (const name of element.dataset.module.split(" ")) {
      load(name).then((module) => module.default(element));
    }
  }
  for (const element of all("[data-late]")) attachLate(element, element.dataset.late);
}

// data-late="name": the module is fetched by the first tap on a link inside, so that it costs nothing before.
function attachLate(element, name) {
  element.addEventListener("click", function first(event) {
    const link = event.target.closest("a");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    element.removeEventListener("click", first);
    load(name).then((module) => {
      module.default(element);
      link.click();
    }, () => location.assign(link.href));
  });
}

// A page from the back-forward cache may show what has ended since: ask again.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

// A photo full screen has an address of its own. Who loads it anew and goes back, or goes back and forward, comes to an address whose page
// this is not, and the browser leaves this one standing.
const page = location.pathname;
addEventListener("popstate", () => {
  if (location.pathname !== page && !document.documentElement.dataset.busy) location.reload(); // for "busy", see fresh.js
});

// The addresses of photos end after a while. Whoever scrolls on in a page that was open for long gets a fresh one.
document.addEventListener("error", (event) => {
  if (event.target.matches("main img") && performance.now() > 60000) load("fresh").then((module) => module.default());
}, true);

// A module that puts new elements on the page says so by this event.
document.addEventListener("kinfold:new", (event) => attach(event.target));

attach(document);
