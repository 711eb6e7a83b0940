// The button chooses light or dark for as long as the page is open; until then, the reader's
// system does.
(() => {
  const button = document.getElementById("scheme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  let chosenDark = null;
  const show = () => {
    if (chosenDark !== null) {
      document.documentElement.dataset.scheme = chosenDark ? "dark" : "light";
    }
    button.setAttribute("aria-pressed", String(chosenDark ?? prefersDark.matches));
  };
  button.addEventListener("click", () => {
    chosenDark = !(chosenDark ?? prefersDark.matches);
    show();
  });
  prefersDark.addEventListener("change", show);
  button.hidden = !CSS.supports("color", "light-dark(#000, #fff)");
  show();
})();
