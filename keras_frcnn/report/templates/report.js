// Filter and sort the pictures of errors, open any picture. Names are copied as nodes, so none can become code.
(() => {
  const cards = document.getElementById("errors");
  if (!cards) return;
  const field = (name) => document.getElementById("filter-" + name);
  const all = [...cards.children];
  const score = (card) => (card.dataset.score === "" ? -1 : Number(card.dataset.score));
  const orders = {
    given: (a, b) => a.dataset.place - b.dataset.place,
    high: (a, b) => score(b) - score(a),
    low: (a, b) => score(a) - score(b),
    iou: (a, b) => b.dataset.iou - a.dataset.iou,
    size: (a, b) => b.dataset.size - a.dataset.size,
  };
  const update = () => {
    const kind = field("kind").value, name = field("class").value;
    const low = Number(field("low").value), high = field("high").value === "" ? 1 : Number(field("high").value);
    const shown = all.filter((card) => {
      const hit = (!kind || card.dataset.kind === kind)
        && (!name || card.dataset.class === name || card.dataset.trueClass === name)
        && (card.dataset.score === "" ? low <= 0 : score(card) >= low && score(card) <= high);
      card.hidden = !hit;
      return hit;
    });
    all.sort(orders[field("order").value]).forEach((card) => cards.append(card));
    document.getElementById("shown").textContent = shown.length + " of " + all.length + " pictures";
  };
  for (const name of ["kind", "class", "low", "high", "order"]) field(name).addEventListener("input", update);
  update();
})();

(() => {
  const dialog = document.getElementById("large"), large = dialog.querySelector("img");
  const pictures = () => [...document.querySelectorAll("main img")].filter((one) => !one.closest("[hidden]"));
  let shown;
  const show = (picture) => {
    shown = picture;
    large.src = picture.src;
    large.alt = picture.alt;
    const caption = picture.closest("figure")?.querySelector("figcaption");
    const words = caption ? [...caption.cloneNode(true).childNodes] : [];
    // Of two pictures side by side, the text says which one it is.
    const alone = caption && !picture.closest(".pair");
    dialog.querySelector("p").replaceChildren(...(alone ? words : [picture.alt, ...(caption ? [": ", ...words] : [])]));
    if (!dialog.open) dialog.showModal();
  };
  for (const picture of document.querySelectorAll("main img")) {
    picture.classList.add("opens");
    picture.tabIndex = 0;
    picture.setAttribute("role", "button");
    picture.addEventListener("click", () => show(picture));
    picture.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      show(picture);
    });
  }
  const move = (step) => {
    const next = step && pictures()[pictures().indexOf(shown) + step];
    if (next) show(next);
  };
  dialog.addEventListener("keydown", (event) => move({ ArrowLeft: -1, ArrowRight: 1 }[event.key]));
  for (const button of dialog.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => move(Number(button.dataset.step)));
  }
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
})();
