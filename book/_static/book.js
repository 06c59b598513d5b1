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
