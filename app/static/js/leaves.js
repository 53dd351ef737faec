// An album in leaves of some sixty photos. The pages before and after are fetched when they come near; leaves that are far away are
// emptied, keep their height, and are fetched anew when somebody comes back. So an album of any length scrolls, and takes no more
// memory than a short one. The address follows the photo in the middle of the screen: reloading, or coming back, finds it again.
// lightbox.js and slideshow.js ask `find` for any photo of the album by its place in it, from 1.

const NEAR = "1500px 0px"; // fetched so far ahead of the screen
const FAR = "9000px 0px"; // emptied so far beyond it
const AT_REST = 250; // ms after the last scrolling
const TOP = 100; // px; less far down, somebody is at the beginning
const TRIES = 4000; // ms until a page that did not come is asked for again

const pages = new WeakMap(); // leaf -> its address
const ends = {}; // "prev", "next" -> the <nav> with the link to what comes there, if there is more
let photos;
let near;
let far;

function links(leaf) {
  return Array.from(leaf.querySelectorAll("a[data-place]"));
}

function size(leaf) {
  return Number(leaf.dataset.to) - Number(leaf.dataset.from) + 1;
}

function read(address) {
  return fetch(address, { credentials: "same-origin" }).then((answer) => {
    if (!answer.ok || answer.redirected) throw new Error("the album is not what it was");
    return answer.text();
  }).then((text) => {
    const page = document.createElement("template"); // not a document: a phone takes long to tidy those up
    page.innerHTML = text;
    return page.content.querySelector("#photos");
  });
}

// Seen anew, a thing says whether it is near.
function look(thing) {
  near.unobserve(thing);
  near.observe(thing);
}

function again(thing) {
  setTimeout(() => {
    thing.coming = null;
    look(thing);
  }, TRIES);
}

function known(nav, end) {
  ends[end] = nav;
  if (nav) look(nav);
}

function adopt(leaf, address) {
  pages.set(leaf, address);
  leaf.dataset.from = leaf.dataset.place;
  leaf.dataset.to = Number(leaf.dataset.place) + links(leaf).length - 1;
  near.observe(leaf);
  far.observe(leaf);
}

// The page that one end of what is here links to. What is on the screen stays where it is, whatever comes above it.
function grow(end) {
  const nav = ends[end];
  if (!nav) return Promise.resolve();
  if (nav.coming) return nav.coming;
  const address = nav.querySelector("a").href;
  nav.coming = read(address).then((there) => {
    const leaf = document.adoptNode(there.querySelector(".leaf"));
    const beside = end === "next" ? nav.previousElementSibling : nav.nextElementSibling;
    const top = beside.getBoundingClientRect().top;
    leaf.style.containIntrinsicSize = "auto " + Math.round((beside.offsetHeight / size(beside)) * links(leaf).length) + "px"; // a guess
    photos.insertBefore(leaf, end === "next" ? nav : beside);
    const more = there.querySelector('nav a[rel="' + end + '"]');
    if (more) nav.querySelector("a").href = more.href;
    else nav.remove();
    nav.coming = null;
    if (end === "prev") scrollBy(0, beside.getBoundingClientRect().top - top);
    adopt(leaf, address);
    leaf.dispatchEvent(new CustomEvent("kinfold:new", { bubbles: true }));
    known(more && nav, end);
  }).catch(() => again(nav));
  return nav.coming;
}

function empty(leaf) {
  if (leaf.dataset.empty || leaf.contains(document.activeElement)) return;
  leaf.style.height = leaf.offsetHeight + "px";
  leaf.dataset.empty = "yes";
  leaf.textContent = "";
}

function fill(leaf) {
  if (!leaf.dataset.empty) return Promise.resolve();
  if (leaf.coming) return leaf.coming;
  leaf.coming = read(pages.get(leaf)).then((there) => {
    for (const part of Array.from(there.querySelector(".leaf").children)) leaf.appendChild(document.adoptNode(part));
    leaf.style.height = "";
    delete leaf.dataset.empty;
    leaf.coming = null;
    leaf.dispatchEvent(new CustomEvent("kinfold:new", { bubbles: true }));
  }).catch(() => again(leaf));
  return leaf.coming;
}

// The link of the photo at a place, when it is on the page just now.
export function at(place) {
  return photos.querySelector('a[data-place="' + place + '"]');
}

// The same, however far away it is; null when it can't be had.
export function find(place) {
  const here = at(place);
  if (here) return Promise.resolve(here);
  const leaves = Array.from(photos.querySelectorAll(".leaf"));
  const leaf = leaves.find((each) => each.dataset.from <= place && place <= each.dataset.to);
  if (leaf) return fill(leaf).then(() => at(place));
  const end = place < leaves[0].dataset.from ? "prev" : "next";
  if (!ends[end]) return Promise.resolve(null);
  const before = leaves.length;
  return grow(end).then(() => (photos.querySelectorAll(".leaf").length > before ? find(place) : null));
}

// The photo in the middle of the screen goes into the address; at the top of the album it is the album's own. The browser's own way to
// find the place again counts from the top of a page that is not there any more.
function remember() {
  const there = document.elementFromPoint(innerWidth / 2, innerHeight / 2);
  const tile = there && there.closest(".tile");
  if (!tile || !photos.contains(tile)) return;
  history.scrollRestoration = "manual";
  history.replaceState(history.state, "", pages.get(tile.closest(".leaf")) + (scrollY < TOP ? "" : "#" + tile.id));
}

export default function leaves(box) {
  photos = box;
  const show = document.querySelector('[data-part="slideshow"]');
  if (show) {
    show.hidden = false;
    show.addEventListener("click", () => import("./slideshow.js").then((module) => module.default(box, show)));
  }
  if (!("IntersectionObserver" in window)) return;
  const anew = Boolean(near); // the page has been renewed around new photos
  if (anew) [near, far].forEach((each) => each.disconnect());
  near = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      if (target === ends.prev) grow("prev");
      else if (target === ends.next) grow("next");
      else fill(target);
    }
  }, { rootMargin: NEAR });
  far = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) if (!isIntersecting) empty(target);
  }, { rootMargin: FAR });
  const found = location.hash.startsWith("#photo-") && document.getElementById(location.hash.slice(1));
  if (found) found.scrollIntoView({ block: "center" });
  for (const leaf of box.querySelectorAll(".leaf")) adopt(leaf, location.pathname + location.search);
  for (const end of ["prev", "next"]) {
    const link = box.querySelector('nav a[rel="' + end + '"]');
    known(link && link.parentNode, end);
  }
  if (anew) return;
  let rest;
  addEventListener("scroll", () => {
    clearTimeout(rest);
    rest = setTimeout(remember, AT_REST);
  }, { passive: true });
}
