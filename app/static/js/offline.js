// On the page for when there is no line: shows the photos that were seen last, which the service worker has kept, and comes back by itself.
export default function offline(box) {
  addEventListener("online", () => location.reload());
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
