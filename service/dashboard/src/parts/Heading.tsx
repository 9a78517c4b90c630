import { type ReactNode, useEffect, useRef } from "react";

let hasNavigated = false;
window.addEventListener("hashchange", () => (hasNavigated = true), { once: true });

/** The page's main heading: names the tab, and takes the focus so that a screen reader announces the page. */
export function Heading({ title, children }: { title: string; children: ReactNode }) {
  const heading = useRef<HTMLHeadingElement>(null);

  useEffect(() => {
    document.title = `${title} · Tauten`;
  }, [title]);

  useEffect(() => {
    // On the first load the browser has put the focus where it belongs.
    if (hasNavigated) heading.current?.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }, []);

  return (
    <h1 ref={heading} tabIndex={-1}>
      {children}
    </h1>
  );
}
