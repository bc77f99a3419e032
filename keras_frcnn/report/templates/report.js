// Filter and sort the pictures of errors. Only attributes and texts are read, so no name can become code.
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
    const low = Number(field("low").value), high = Number(field("high").value);
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
