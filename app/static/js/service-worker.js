// Stands between a guest's pages and the line: without a line it shows a calm page and the photos that were seen last. It also shows
// what is pushed. /service-worker.js loads it, and says in STATIC where our static files are.
//
// No page is ever kept. A photo is, when its answer says so (Kinfold-Keep: its id, and in seconds until when it is shared); at every contact
// the server is asked which may stay.

const SHELL = "shell " + STATIC;
const KEPT = "kept";
const OFFLINE = "/offline" + location.search; // in the language of the page that let us in
const PARTS = ["css/guest.css", "js/main.js", "js/offline.js"].map((name) => STATIC + name);
const PHOTOS = "/kept/"; // addresses that only we answer
const CONTACT = "/contact"; // when the server last said what may stay, in milliseconds
const MOST = 100; // photos
const LONGEST = 7 * 24 * 3600 * 1000; // milliseconds without contact

let last = Promise.resolve();

// What changes the photos that are kept happens one after the other.
function inTurn(job) {
  const done = last.then(job);
  last = done.catch(() => {});
  return done;
}

function idOf(request) {
  return new URL(request.url).pathname.slice(PHOTOS.length);
}

function over(request) {
  return !(Number(new URL(request.url).searchParams.get("until")) * 1000 > Date.now());
}

function noteContact(cache) {
  return cache.put(CONTACT, new Response(String(Date.now())));
}

// The photos that may be shown now, the last seen at the end. None is left when the server has not been heard for too long, nor any that
// was shared until now.
async function kept() {
  const cache = await caches.open(KEPT);
  const contact = await cache.match(CONTACT);
  const age = contact ? Date.now() - Number(await contact.text()) : NaN;
  if (!(age >= 0 && age < LONGEST)) {
    await caches.delete(KEPT);
    return [];
  }
  const photos = (await cache.keys()).filter((each) => new URL(each.url).pathname.startsWith(PHOTOS));
  for (const each of photos.filter(over)) await cache.delete(each);
  return photos.filter((each) => !over(each));
}

async function keep(photo, until, answer) {
  await kept(); // what is too old goes first
  const cache = await caches.open(KEPT);
  if (!(await cache.match(CONTACT))) await noteContact(cache);
  await cache.delete(PHOTOS + photo, { ignoreSearch: true }); // so that it stands at the end
  await cache.put(PHOTOS + photo + "?until=" + until, new Response(await answer.blob()));
  const photos = await kept();
  for (const each of photos.slice(0, Math.max(0, photos.length - MOST))) await cache.delete(each);
}

// Ask the server which photos may stay. When it does not know this browser any more, none.
async function contact() {
  const held = await inTurn(kept);
  if (!held.length) return;
  const address = "/shared/kept?photos=" + held.map(idOf).join();
  const answer = await fetch(address, { headers: { Accept: "application/json" }, cache: "no-store" });
  const unknown = answer.status === 404 || answer.status === 410;
  if (!unknown && !answer.ok) return;
  const may = unknown ? [] : (await answer.json()).photos;
  await inTurn(async () => {
    if (!may.length) return caches.delete(KEPT);
    const cache = await caches.open(KEPT);
    for (const each of held) if (!may.includes(idOf(each))) await cache.delete(each);
    return noteContact(cache);
  });
}

function later(event, work) {
  event.waitUntil(work.catch(() => {})); // there is another time
}

async function page(event) {
  try {
    const answer = await fetch(event.request);
    later(event, contact());
    return answer;
  } catch {
    return caches.match(OFFLINE);
  }
}

async function photo(event) {
  const answer = await fetch(event.request);
  const said = answer.ok && answer.headers.get("Kinfold-Keep");
  if (said) {
    const [id, until] = said.split(" ");
    const copy = answer.clone();
    later(event, inTurn(() => keep(id, until, copy)));
  }
  return answer;
}

async function keptPhoto(path) {
  const photos = await inTurn(kept);
  if (path === PHOTOS) return new Response(JSON.stringify(photos.map((each) => PHOTOS + idOf(each)).reverse()));
  const found = photos.find((each) => PHOTOS + idOf(each) === path);
  return found ? (await caches.open(KEPT)).match(found) : Response.error();
}

async function part(request) {
  return (await caches.match(request)) || fetch(request);
}

addEventListener("install", (event) => {
  skipWaiting();
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll([OFFLINE, ...PARTS])));
});

addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name !== SHELL && name !== KEPT) await caches.delete(name);
    await clients.claim();
  })());
  later(event, contact());
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  const file = pathname.startsWith("/m/");
  if (request.mode === "navigate") {
    if (!file && !pathname.endsWith(".zip")) event.respondWith(page(event)); // what is saved goes its own way
  } else if (file && request.destination === "image") event.respondWith(photo(event));
  else if (pathname.startsWith(PHOTOS)) event.respondWith(keptPhoto(pathname));
  else if (PARTS.includes(pathname)) event.respondWith(part(request));
});

addEventListener("push", (event) => {
  const { text, url } = event.data.json();
  event.waitUntil(registration.showNotification(text, { icon: STATIC + "icon-192.png", tag: "kinfold", data: url }));
  later(event, contact());
});

addEventListener("notificationclick", (event) => {
  event.notification.close();
  const address = new URL(event.notification.data, location.origin);
  if (address.origin !== location.origin) return;
  event.waitUntil(clients.matchAll({ type: "window" }).then(([open]) => (
    open ? open.focus().then((focused) => focused.navigate(address.href)) : clients.openWindow(address.href)
  )));
});
