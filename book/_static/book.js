// What is wider than its place scrolls sideways; whoever has no mouse must be able to get there and scroll it too.
(() => {
  const WIDE = "main .output, main .ge-scroll, main div.math, main mjx-container, main pre, main .pst-scrollable-table-container, main [style*='overflow-x']";
  // The side on which there is more fades out (genens.css): on a phone no scrollbar tells of it.
  function fade(part) {
    const left = Math.abs(part.scrollLeft), rest = part.scrollWidth - part.clientWidth - left;
    part.classList.toggle("ge-more-before", part.tabIndex === 0 && left > 4);
    part.classList.toggle("ge-more-after", part.tabIndex === 0 && rest > 4);
  }
  function reach() {
    for (const part of document.querySelectorAll(WIDE)) {
      const scrolls = part.scrollWidth > part.clientWidth && getComputedStyle(part).overflowX !== "visible";
      if (scrolls) part.tabIndex = 0;
      else if (part.getAttribute("tabindex") === "0") part.removeAttribute("tabindex");
      part.onscroll = scrolls ? () => fade(part) : null;
      fade(part);
    }
  }
  addEventListener("load", () => {
    reach();
    window.MathJax?.startup?.promise?.then(reach);
    // Docutils names each entry of the bibliography by a role that no list may hold.
    for (const entry of document.querySelectorAll(".citation-list > .citation")) entry.setAttribute("role", "listitem");
  });
  addEventListener("resize", reach);
})();

// What a term, a citation or a theorem is, shown beside the link to it (sphinx-tippy): to a mouse and to the keyboard, and
// never to a finger, for which a link is a link. Escape takes it away. The copy has no names of its own.
addEventListener("DOMContentLoaded", () => {
  window.tippy?.setDefaultProps({
    touch: false,
    appendTo: () => document.body,
    aria: {content: "describedby", expanded: false},
    onCreate: tip => tip.reference.removeAttribute("title"),  // of a citation: the browser would show it as well
    onShow(tip) {
      const copy = tip.popper.querySelector(".tippy-content");
      for (const named of copy.querySelectorAll("[id]")) named.removeAttribute("id");
      if (copy.firstElementChild?.matches("div.math")) tip.popper.firstElementChild.ariaLabel = copy.textContent.trim();
      if (copy.firstElementChild?.tagName !== "DT") return;
      const list = document.createElement("dl");  // which a term and its meaning are entries of
      list.append(...copy.childNodes);
      copy.append(list);
    },
    onMount(tip) {
      const copy = tip.popper.querySelector(".tippy-content");
      const settle = () => {
        if (copy.scrollHeight > copy.clientHeight || copy.scrollWidth > copy.clientWidth) copy.tabIndex = 0;
        tip.popperInstance?.update();
      };
      Promise.resolve(window.MathJax?.typesetPromise?.([tip.popper])).then(settle);
    },
  });
});
addEventListener("keydown", event => event.key === "Escape" && window.tippy?.hideAll());
