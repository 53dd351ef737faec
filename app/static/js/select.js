// Says on the button how many photos are chosen, and lets it be tapped only when there are some.
export default function select(form) {
  const button = document.querySelector("[data-chosen]");
  const count = () => {
    const chosen = form.querySelectorAll('input[name="photo"]:checked').length;
    button.textContent = chosen ? button.dataset.chosen.replace("{count}", chosen) : button.dataset.none;
    button.classList.toggle("spent", !chosen);
    button.setAttribute("aria-disabled", String(!chosen));
  };
  button.dataset.none = button.textContent;
  button.addEventListener("click", (event) => {
    if (button.getAttribute("aria-disabled") !== "true") return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  form.addEventListener("change", count);
  count();
}
