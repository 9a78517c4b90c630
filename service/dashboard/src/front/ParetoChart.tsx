import type { ECharts } from "echarts/core";
import { useEffect, useRef } from "react";
import { metricLabel } from "../format/metrics";
import { init } from "./echarts";
import { optionOf } from "./option";
import { usePalette } from "./palette";
import type { Scene } from "./scene";

interface Props {
  scene: Scene;
  onSelect: (trial: number) => void;
}

/** Draws a scene. The default export, because it is loaded apart from the page. */
export default function ParetoChart({ scene, onSelect }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<ECharts>(null);
  const drawn = useRef<Scene>(null);
  const palette = usePalette();

  useEffect(() => {
    if (!box.current) return;
    const made = init(box.current, null, { renderer: "svg" });
    chart.current = made;
    const observer = new ResizeObserver(() => {
      made.resize();
      if (drawn.current) writePositions(made, drawn.current);
    });
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      made.dispose();
    };
  }, []);

  useEffect(() => {
    // Only the series are replaced: an open tooltip survives the arrival of a trial.
    chart.current?.setOption(optionOf(scene, palette), { replaceMerge: ["series"] });
    drawn.current = scene;
    if (chart.current) writePositions(chart.current, scene);
  }, [scene, palette]);

  useEffect(() => {
    const made = chart.current;
    const click = ({ data }: { data?: unknown }) => {
      const trial = (data as { trial?: number } | undefined)?.trial;
      if (trial !== undefined) onSelect(trial);
    };
    made?.on("click", click);
    return () => {
      if (made && !made.isDisposed()) made.off("click", click);
    };
  }, [onSelect]);

  return <div ref={box} className="chart" role="img" aria-label={description(scene)} data-testid="pareto-chart" />;
}

function description({ axis, points, chosen, reference }: Scene): string {
  const onFront = points.filter(({ kind }) => kind === "front").length;
  const parts = [
    `Accuracy against ${metricLabel(axis)}: ${points.length} trials, ${onFront} of them on the front`,
    reference && "with the reference",
    chosen !== null && `trial ${chosen} is chosen`,
  ];
  return `${parts.filter(Boolean).join(", ")}. The table of trials below has the same numbers.`;
}

/** Where each trial is drawn, in pixels of the chart: an automated browser can then point at one. */
function writePositions(chart: ECharts, { points }: Scene): void {
  const positions: Record<number, number[]> = {};
  for (const { x, y, trial } of points) {
    const pixel = chart.convertToPixel({ xAxisIndex: 0, yAxisIndex: 0 }, [x, y]).map(Math.round);
    if (chart.containPixel("grid", pixel)) positions[trial.trial] = pixel;
  }
  chart.getDom().dataset.positions = JSON.stringify(positions);
}
