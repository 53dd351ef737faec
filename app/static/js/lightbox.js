// Shows one photo full screen and lets the finger swipe to the next. The links of the grid stay what they are: the address
// follows the photo, so that "back" closes, and reloading shows the photo's own page.
import PhotoSwipe from "../vendor/photoswipe/photoswipe.esm.min.js";
import fresh from "./fresh.js";

const CONTROLS = 80; // pixels at the bottom of a video that are its own

const sheet = new Promise((resolve, reject) => {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("../vendor/photoswipe/photoswipe.css", import.meta.url).href;
  link.onload = resolve;
  link.onerror = reject;
  document.head.prepend(link); // before our own sheet, which adjusts it
});

function slide(link) {
  const image = link.querySelector("img");
  const width = Number(link.dataset.screenWidth);
  return {
    type: link.dataset.play ? "film" : "image",
    play: link.dataset.play,
    src: link.dataset.screen,
    msrc: image.currentSrc || image.src,
    width: width,
    height: Math.round((width * image.getAttribute("height")) / image.getAttribute("width")),
    alt: image.alt,
    element: link,
    thumbCropped: true,
  };
}

function word(text) {
  const span = document.createElement("span");
  span.textContent = text;
  return span.outerHTML;
}

function open(grid, links, index) {
  const words = grid.dataset;
  const pswp = new PhotoSwipe({
    dataSource: links.map(slide),
    index: index,
    loop: false,
    counter: false,
    zoom: false,
    bgOpacity: 1,
    errorMsg: words.gone,
    closeTitle: words.close,
    closeSVG: word(words.close),
    arrowPrevTitle: words.previous,
    arrowPrevSVG: word(words.previous),
    arrowNextTitle: words.next,
    arrowNextSVG: word(words.next),
  });
  const current = () => links[pswp.currIndex];

  // A video is itself, with its own controls; a swipe over them is theirs. Out of sight it stops.
  pswp.on("contentLoad", (event) => {
    const { content } = event;
    if (content.type !== "film") return;
    event.preventDefault();
    const { play, src, alt, width, height } = content.data;
    content.element = Object.assign(document.createElement("video"), {
      className: "pswp__film", controls: true, playsInline: true, preload: "none", poster: src, src: play, width, height,
    });
    content.element.setAttribute("aria-label", alt);
    content.state = "loaded";
    content.onLoaded();
  });
  pswp.on("contentDeactivate", ({ content }) => { if (content.type === "film") content.element.pause(); });
  pswp.on("pointerDown", (event) => {
    const film = event.originalEvent.target.closest(".pswp__film");
    if (film && event.originalEvent.clientY > film.getBoundingClientRect().bottom - CONTROLS) event.preventDefault();
  });

  pswp.on("uiRegister", () => {
    pswp.ui.registerElement({
      name: "save", tagName: "a", className: "word", order: 8, isButton: true, html: word(words.saveWord), title: words.saveWord,
      onInit: (button) => pswp.on("change", () => {
        button.href = current().dataset.save || "";
        button.hidden = !current().dataset.save;
      }),
    });
    pswp.ui.registerElement({
      name: "words", className: "pswp-words", order: 9, appendTo: "root",
      onInit: (line) => {
        line.dir = "auto";
        line.setAttribute("role", "status");
        pswp.on("change", () => { line.textContent = current().dataset.caption || ""; });
      },
    });
  });
  pswp.addFilter("uiElement", (element, data) => {
    if (data.isButton) element.classList.add("word");
    element.removeAttribute("aria-controls"); // names an id that is not there
    return element;
  });
  pswp.on("initialLayout", () => pswp.element.setAttribute("aria-label", words.title));

  // An address that has ended: the photo's own page knows a fresh one, or says what is over.
  pswp.on("loadError", ({ slide: failed }) => { if (failed === pswp.currSlide) fresh(); });

  let left = false; // whether "back" closed it
  const leave = () => { left = true; pswp.close(); };
  history.pushState(null, "", links[index].href);
  addEventListener("popstate", leave);
  pswp.on("change", () => history.replaceState(null, "", current().href));
  pswp.on("change", () => document.dispatchEvent(new CustomEvent("kinfold:shown", { detail: current().href }))); // seen.js notes it
  pswp.on("close", () => current().scrollIntoView({ block: "nearest" }));
  pswp.on("destroy", () => {
    removeEventListener("popstate", leave);
    if (!left) history.back();
    current().focus({ preventScroll: true });
  });
  pswp.init();
}

export default function lightbox(grid) {
  grid.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-screen]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    const links = Array.from(grid.querySelectorAll("a[data-screen]"));
    sheet.then(() => open(grid, links, links.indexOf(link)), () => location.assign(link.href));
  });
}
