// A button beside a password that shows what was typed.
export default function reveal(box) {
  const input = box.querySelector("input");
  const row = document.createElement("div");
  const button = document.createElement("button");
  row.className = "shown";
  button.type = "button";
  const set = (shown) => {
    input.type = shown ? "text" : "password";
    button.textContent = shown ? box.dataset.hide : box.dataset.show;
  };
  button.addEventListener("click", () => set(input.type === "password"));
  input.form.addEventListener("submit", () => set(false));
  button.setAttribute("aria-controls", input.id);
  input.replaceWith(row);
  row.append(input, button);
  set(false);
}
