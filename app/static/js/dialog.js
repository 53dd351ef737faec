// Opens a <dialog> above the page from the links to it. Without this, its address opens it (guest.css).
export default function dialog(box) {
  if (!box.showModal) return;
  const show = (event) => {
    if (event) event.preventDefault();
    if (!box.open) box.showModal();
  };
  for (const link of document.querySelectorAll('a[href="#' + box.id + '"]')) link.addEventListener("click", show);
  box.addEventListener("click", (event) => {
    const outside = event.target === box;
    if (!outside && !event.target.closest("[data-close]")) return;
    event.preventDefault();
    box.close();
  });
  if (box.open || location.hash === "#" + box.id) {
    box.open = false;
    history.replaceState(null, "", location.pathname + location.search);
    show();
  }
}
