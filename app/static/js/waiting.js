// Waits for the yes of the person who sent the link: asks now and then, and comes in by itself. The form's button does the same by hand.
const EVERY = 4000; // milliseconds

export default function waiting(form) {
  const enter = () => form.querySelector("button").click();
  if (form.dataset.letIn) {
    enter();
    return;
  }
  const look = () => {
    if (document.hidden) return;
    fetch(form.dataset.state, { headers: { Accept: "application/json" } }).then((answer) => {
      if (answer.redirected || answer.status === 410 || answer.status === 404) location.reload(); // over, or another tab was let in
      else if (answer.ok) return answer.json().then((told) => { if (told.state === "yes") enter(); });
    }).catch(() => {}); // no line: at the next look there may be one
  };
  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look);
}
