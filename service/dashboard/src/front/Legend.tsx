/** The signs of the chart in words; colours are never the only difference. */
export function Legend() {
  return (
    <ul className="legend" aria-label="Signs of the chart">
      <li data-sign="front">on the front</li>
      <li data-sign="dominated">dominated</li>
      <li data-sign="outside">hollow: outside the constraints</li>
      <li data-sign="undeployed">not completed</li>
      <li data-sign="reference">reference</li>
      <li data-sign="named">chosen, knee</li>
      <li data-sign="limit">constraint</li>
      <li data-sign="interval">95 % interval</li>
    </ul>
  );
}
