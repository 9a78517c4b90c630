import type { ECharts, EChartsCoreOption } from "echarts/core";
import { type RefObject, useEffect, useRef, useState } from "react";
import { init } from "./echarts";

/**
 * A chart in a box: made once, drawn again for each option, as large as the box is.
 *
 * `onDrawn` is called after each drawing and resizing.
 */
export function useChart(box: RefObject<HTMLElement | null>, option: EChartsCoreOption, onDrawn?: (chart: ECharts) => void) {
  const [chart, setChart] = useState<ECharts | null>(null);
  const drawn = useRef(onDrawn);
  drawn.current = onDrawn;
  const hasOption = useRef(false);

  useEffect(() => {
    if (!box.current) return;
    const made = init(box.current, null, { renderer: "svg" });
    setChart(made);
    const observer = new ResizeObserver(() => {
      made.resize();
      // The first call comes before the first option, when nothing has a place yet.
      if (hasOption.current) drawn.current?.(made);
    });
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      made.dispose();
      hasOption.current = false;
      setChart(null);
    };
  }, [box]);

  useEffect(() => {
    if (!chart || chart.isDisposed()) return;
    // Only the series are replaced: an open tooltip survives the arrival of a trial.
    chart.setOption(option, { replaceMerge: ["series"] });
    hasOption.current = true;
    drawn.current?.(chart);
  }, [chart, option]);

  return chart;
}

/** Listens to one of a chart's events while the page shows it. */
export function useChartEvent(chart: ECharts | null, name: string, listener: (event: unknown) => void): void {
  useEffect(() => {
    chart?.on(name, listener);
    return () => {
      if (chart && !chart.isDisposed()) chart.off(name, listener);
    };
  }, [chart, name, listener]);
}
