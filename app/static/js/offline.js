// On the page for when there is no line: shows the photos that were seen last, which the service worker has kept, and comes back by itself.
const PAUSE = 5000; // milliseconds between two tries: a phone says that it is online before it is

function look() {
  fetch(location.href, { method: "HEAD" }).then(() => location.reload(), () => {});
}

export default function offline(box) {
  if (location.pathname !== "/offline") { // there it is asked for by name
    addEventListener("online", look);
    setInterval(look, PAUSE);
  }
  fetch("/kept/").then((answer) => answer.json()).then((addresses) => {
    box.hidden = !addresses.length;
    addresses.forEach((address, index) => {
      const item = document.createElement("li");
      const image = new Image();
      image.loading = "lazy";
      image.alt = box.dataset.photo.replace("{number}", index + 1);
      image.src = address;
      item.append(image);
      box.querySelector("ul").append(item);
    });
  }).catch(() => {}); // no worker, nothing kept
}
