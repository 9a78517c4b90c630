import { useState } from "react";

/** A command to run in a shell, and a button that copies it. */
export function Command({ label, text }: { label: string; text: string }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    window.setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <div className="command">
      <pre tabIndex={0} role="group" aria-label={label}>
        <code>{text}</code>
      </pre>
      {/* The clipboard exists on https and on this machine's own addresses only. */}
      {"clipboard" in navigator && (
        <button type="button" className="quiet" onClick={copy}>
          {isCopied ? "Copied" : "Copy"}
        </button>
      )}
    </div>
  );
}
